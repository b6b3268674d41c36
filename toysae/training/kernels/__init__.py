"""Ways to run training steps: one definition in torch autograd, and faster equals of it."""
