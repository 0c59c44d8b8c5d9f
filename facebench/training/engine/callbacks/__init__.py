"""Evaluation inside a training loop: of this project, of Hugging Face Trainer and Accelerate, and of Lightning."""
