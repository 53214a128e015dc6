"""One call of each kind through segment-analytics-python: python server.py http://127.0.0.1:PORT"""

import sys

from segment import analytics  # type: ignore[import-not-found,unused-ignore]  # installed for a capture only

analytics.write_key, analytics.host = "capture", sys.argv[1]
some = {"captured": True}
analytics.identify("user-1", some)
analytics.track("user-1", "Captured", some)
analytics.page("user-1", "Category", "Name", some)
analytics.screen("user-1", "Category", "Name", some)
analytics.group("user-1", "group-1", some)
analytics.alias("previous-1", "user-1")
analytics.shutdown()
