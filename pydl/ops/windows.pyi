AXES: dict[int, str]
