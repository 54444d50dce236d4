"""Soon."""


def scenes(split):
    raise NotImplementedError
