"""The embedded graph: ROS 2's wire protocol without ROS."""
