"""Any task of an image an example, learned from adversarial examples and measured on them too."""
