"""What a transport delivers becomes records: topics, what waits, clocks, faces of ROS4HRI."""
