-- question: Which principals were not used for some time?
-- about: Where observable is false the logs cannot speak for the whole window: not seen is not the same as not used.
-- param days integer = 45 : days before the as-of instant without activity
-- column principal text : ARN
-- column account text : account
-- column kind text : kind of principal
-- column nature text : who acts through it
-- column created time : creation
-- column last_activity time : last known activity, empty where none is known
-- column idle_days integer : whole days since then, or since creation
-- column observable boolean : whether the logs could have shown activity on every day of the window
-- column granted integer : actions that it holds
SELECT
    arn AS principal,
    account,
    kind,
    nature,
    created,
    last_activity,
    date_diff('second', coalesce(last_activity, created), as_of) // 86400 AS idle_days,
    activity_observable AS observable,
    granted
FROM principals
CROSS JOIN scan
WHERE kind NOT IN ('service_linked_role', 'root')
    AND coalesce(last_activity < as_of - to_days($days::INTEGER), true)
    AND coalesce(created < as_of - to_days($days::INTEGER), true)
ORDER BY observable DESC, idle_days DESC NULLS LAST, principal
