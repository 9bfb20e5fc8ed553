"""The training step that others write: what `make bench` measures against.

A loop over time in Python, the mask multiplied in at every time step, the task's one-hot vector appended to the
observations, automatic differentiation, torch's default Adam. Imports nothing of lmrnn, so that it also runs beside
neurogym in an environment of its own.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MaskedRNN(nn.Module):
    """A relu network whose recurrent matrix is masked."""

    def __init__(self, mask, input_size, output_size, scale=0.5):
        super().__init__()
        hidden_size = len(mask)
        self.register_buffer("mask", mask)
        self.input = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Parameter(torch.eye(hidden_size) * scale)
        self.readout = nn.Linear(hidden_size, output_size)

    def forward(self, inputs):
        """Logits (T, B, C) of inputs (T, B, I)."""
        hidden = torch.zeros(inputs.shape[1], len(self.mask))
        states = []
        for x in inputs:
            hidden = torch.relu(F.linear(hidden, self.recurrent * self.mask) + self.input(x))
            states.append(hidden)
        return self.readout(torch.stack(states))


class UsualStep:
    """Forward, loss, backward, clipping and Adam on one batch."""

    def __init__(self, mask, input_size, output_size=17):
        self.network = MaskedRNN(mask, input_size, output_size)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def __call__(self, inputs, labels):
        """Take it; the loss."""
        self.optimizer.zero_grad()
        logits = self.network(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()
