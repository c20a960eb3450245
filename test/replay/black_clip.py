"""A clip in which nobody is seen."""

import av


def write_clip(path, pictures):
    """Write black pictures, ten a second, into a file of any name."""
    with path.open('wb') as file, av.open(file, 'w', format='mp4') as container:
        stream = container.add_stream('mpeg4', rate=10)
        stream.width = stream.height = 64
        for _ in range(pictures):
            container.mux(stream.encode(av.VideoFrame(64, 64, 'yuv420p')))
        container.mux(stream.encode(None))
    return path
