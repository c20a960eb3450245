"""
Message definitions of other packages that are used here and are not part of ROS 2.

A definition decides the type hash, so each has the fields of its package in their order. Comments
do not affect the hash and are left out.
"""

from __future__ import annotations

#: ros-drivers' audio_common (ported from ROS 1): bytes, and their format on another topic.
ROS_DRIVERS = {
    'audio_common_msgs/msg/AudioData': 'uint8[] data',
    'audio_common_msgs/msg/AudioDataStamped': """
        std_msgs/Header header
        audio_common_msgs/AudioData audio
    """,
    'audio_common_msgs/msg/AudioInfo': """
        uint8 channels
        uint32 sample_rate
        string sample_format
        uint32 bitrate
        string coding_format
    """,
}

#: mgonzs13's audio_common: the same package name, other types under the same names.
MGONZS13 = {
    'audio_common_msgs/msg/AudioData': """
        float32[] float32_data
        int32[] int32_data
        int16[] int16_data
        int8[] int8_data
        uint8[] uint8_data
    """,
    'audio_common_msgs/msg/AudioInfo': """
        int32 format
        int32 channels
        int32 rate
        int32 chunk
    """,
    'audio_common_msgs/msg/Audio': """
        audio_common_msgs/AudioData audio_data
        audio_common_msgs/AudioInfo info
    """,
    'audio_common_msgs/msg/AudioStamped': """
        std_msgs/Header header
        audio_common_msgs/Audio audio
    """,
}

#: ROS4HRI (REP-155), hri_msgs 2.3.
ROS4HRI = {
    'hri_msgs/msg/Expression': """
        std_msgs/Header header
        string expression
        float32 valence
        float32 arousal
        float32 confidence
    """,
    'hri_msgs/msg/EngagementLevel': """
        std_msgs/Header header
        uint8 level
    """,
    'hri_msgs/msg/FacialLandmarks': """
        std_msgs/Header header
        hri_msgs/NormalizedPointOfInterest2D[70] landmarks
        uint32 height
        uint32 width
    """,
    'hri_msgs/msg/IdsList': """
        std_msgs/Header header
        string[] ids
    """,
    'hri_msgs/msg/IdsMatch': """
        int8 UNSET=0
        int8 PERSON=1
        int8 FACE=2
        int8 BODY=3
        int8 VOICE=4
        string id1
        int8 id1_type
        string id2
        int8 id2_type
        float32 confidence
    """,
    'hri_msgs/msg/NormalizedPointOfInterest2D': """
        float32 x
        float32 y
        float32 c
    """,
    'hri_msgs/msg/NormalizedRegionOfInterest2D': """
        std_msgs/Header header
        float32 xmin
        float32 ymin
        float32 xmax
        float32 ymax
        float32 c
    """,
    'hri_msgs/msg/LiveSpeech': """
        std_msgs/Header header
        string incremental
        string final
        float64 confidence
        string locale
    """,
}
