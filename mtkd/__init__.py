"""mtkd: multi-task deep neural networks with knowledge distillation for language understanding."""
