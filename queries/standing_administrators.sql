-- question: Which principals hold administrator rights all the time, and on how many days did they use privileged actions?
-- about: Few days of use next to many days of standing rights is what just-in-time access is for.
-- param people_only boolean = true : leave out principals through which only machines act
-- column principal text : ARN
-- column account text : account
-- column kind text : kind of principal
-- column nature text : who acts through it
-- column holders list : people who may use it
-- column break_glass boolean : named as break-glass in the configuration
-- column privileged_days integer : days of the window with a privileged action
-- column active_days integer : days of the window with any action
-- column window_days integer : days of the window
-- column last_activity time : last known activity
SELECT
    arn AS principal,
    account,
    kind,
    nature,
    from_json(holders, '["VARCHAR"]') AS holders,
    break_glass,
    privileged_days,
    active_days,
    date_diff('second', window_from, window_to) // 86400 AS window_days,
    last_activity
FROM principals
CROSS JOIN scan
WHERE administrator
    AND kind NOT IN ('service_linked_role', 'root')
    AND (nature <> 'machine' OR NOT $people_only::BOOLEAN)
ORDER BY privileged_days, principal
