"""`dreampose3d info`."""


def info() -> None:
    """Tell the presets' sizes and costs, the weights that ship, and the versions in use."""
    from dreampose3d.model.info import overview

    print(overview())
