"""The nodes: affect, behaviour and recorder, and the ROS executables of all nodes."""
