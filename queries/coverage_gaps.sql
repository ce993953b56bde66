-- question: Where do the logs not speak for every hour of the window?
-- about: An hour without records may have been quiet; it is no proof of anything, and neither is what a test finds in it.
-- column account text : account
-- column region text : region
-- column hours_missing integer : hours without a management event
-- column hours_total integer : hours of the window
-- column days_missing integer : days without any management event
-- column last_record time : start of the last hour of the window with a management event
-- column data_events integer : data events in the window
SELECT
    r.account AS account,
    r.region AS region,
    r.hours_total - r.hours_covered AS hours_missing,
    r.hours_total AS hours_total,
    r.days_missing AS days_missing,
    max(c.hour) AS last_record,
    r.data_events AS data_events
FROM coverage_regions AS r
CROSS JOIN scan
LEFT JOIN coverage AS c
    ON c.account = r.account AND c.region = r.region AND c.category = 'management'
    AND c.hour >= scan.window_from AND c.hour < scan.window_to
WHERE r.hours_covered < r.hours_total
GROUP BY ALL
ORDER BY hours_missing DESC, account, region
