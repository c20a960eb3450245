"""``python -m maven_ros`` is ``maven-ros``."""

from maven_ros.cli.main import main

raise SystemExit(main())
