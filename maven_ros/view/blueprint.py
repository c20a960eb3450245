"""The layout of the view: its panels and their content."""

from __future__ import annotations

from typing import Any

from maven_ros.view.require import require_rerun

#: The only timeline: stamps of messages.
TIME = 'time'
#: Time span of the panels over time, in seconds.
SPAN_S = 15.0
#: Width and height of the evidence strip, in pixels.
STRIP_PX = (960, 130)
_GROUND = (24, 26, 30)

#: Root entities, one per panel.
CAMERA, CIRCUMPLEX, AFFECT, EVIDENCE, SOUND, WORDS, HEALTH, TOLD = (
    'camera', 'circumplex', 'affect', 'evidence', 'sound', 'words', 'health', 'told')


def layout(live: bool) -> Any:
    """
    Return the blueprint.

    :param live: True follows new data; False plays from the start.
    """
    rerun = require_rerun()
    rrb = rerun.blueprint
    words_alone = rrb.TextLogColumns(timeline_columns=[], text_log_columns=['body'])

    def over_time(name: str, root: str, low: float | None = None, high: float | None = None,
                  legend: bool = False) -> Any:
        span = rerun.TimeRange(start=rrb.TimeRangeBoundary.cursor_relative(seconds=-SPAN_S),
                               end=rrb.TimeRangeBoundary.cursor_relative(seconds=0.0))
        axis = None if low is None else rrb.ScalarAxis(range=(low, high), zoom_lock=True)
        return rrb.TimeSeriesView(
            name=name, origin=root, axis_y=axis, axis_x=rrb.TimeAxis(view_range=span),
            plot_legend=rrb.PlotLegend(rrb.Corner2D.LeftTop, visible=legend))

    seen = rrb.Vertical(
        rrb.Spatial2DView(name='Camera', origin=CAMERA),
        rrb.Horizontal(
            rrb.Spatial2DView(
                name='Circumplex (smoothed)', origin=CIRCUMPLEX, background=_GROUND,
                visual_bounds=rrb.VisualBounds2D(x_range=(-1.5, 1.5), y_range=(-1.3, 1.3))),
            rrb.TextLogView(name='Events and behaviour', origin=TOLD, columns=words_alone)),
        row_shares=(5, 4))
    heard = rrb.Vertical(
        over_time('Valence (blue) and arousal (orange), 90% band', AFFECT, -1.0, 1.0),
        rrb.Spatial2DView(name='Evidence: shares of face, voice and words', origin=EVIDENCE,
                          background=_GROUND, visual_bounds=rrb.VisualBounds2D(
                              x_range=(0, STRIP_PX[0]), y_range=(0, STRIP_PX[1]))),
        over_time('Sound', SOUND, -0.5, 0.5),
        rrb.TextLogView(name='Words', origin=WORDS, columns=words_alone),
        over_time('Latency (ms) and drops', HEALTH, legend=True),
        row_shares=(8, 5, 4, 6, 5))
    return rrb.Blueprint(
        rrb.Horizontal(seen, heard, column_shares=(5, 6)),
        rrb.BlueprintPanel(state='hidden'), rrb.SelectionPanel(state='hidden'),
        rrb.TimePanel(state='collapsed', timeline=TIME,
                      play_state='following' if live else 'playing'),
        auto_layout=False, auto_views=False)
