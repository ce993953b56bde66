-- question: Who used a principal, on how many days, and what was refused?
-- about: Reads the window of the last scan. An empty person means that the records do not say who it was; whom the name
-- about: of a session alone points to is no person here, but stands in `sessions`.
-- param principal text : ARN of the user or role, with its path
-- column person text : the person behind the calls
-- column days integer : days with at least one call
-- column actions integer : distinct IAM actions called
-- column calls integer : authorised calls
-- column denied integer : denied calls
-- column first_day text : first day with a call
-- column last_day text : last day with a call
SELECT
    person,
    count(DISTINCT day) AS days,
    count(DISTINCT action) AS actions,
    sum(count) AS calls,
    sum(denied) AS denied,
    min(day) AS first_day,
    max(day) AS last_day
FROM activity
WHERE principal = $principal
GROUP BY person
ORDER BY calls DESC, person
