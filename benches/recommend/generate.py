#!/usr/bin/env python3
"""Makes up an AWS organisation with its logs, for benches/run-recommend. The same seed gives the same files."""

import argparse
import datetime
import json
import multiprocessing
import os
import sys

import people as folk
import state
import world
from logs import Trail


def write_account(task):
    """Writes the logs of an account, then what IAM says of it, with when each principal was last used."""
    seed, account, people, sessions, days, end, out = task
    store = f"arn:aws:identitystore::{account.management}:identitystore/{state.STORE}"
    trail = Trail(seed, account, people, sessions, state.ORGANIZATION, store, os.path.join(out, "cloudtrail"))
    trail.run(days, end)
    folder = os.path.join(out, "iam", account.id)
    state.save(os.path.join(folder, "authorization-details.json"), state.authorization_details(account, trail.last))
    state.credential_report(account, trail.last, os.path.join(folder, "credential-report.csv"))
    return trail.records, trail.files


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the files go; must not exist, or be empty")
    parser.add_argument("--principals", type=int, default=5000,
                        help="roles and IAM users, about so many, and a fifth as many people; the roles that every"
                             " account has are the least")
    parser.add_argument("--accounts", type=int, default=20, help="at least 8")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--end", type=datetime.date.fromisoformat, default="2026-11-01", help="the day after the last")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    """Makes everything."""
    args = arguments()
    if os.path.isdir(args.out) and os.listdir(args.out):
        sys.exit(f"generate: {args.out} is not empty")
    os.makedirs(args.out, exist_ok=True)
    days = [args.end - datetime.timedelta(days=left) for left in range(args.days, 0, -1)]
    accounts = world.accounts(args.seed, args.accounts)
    products = sorted({account.product for account in accounts if account.product})
    people = folk.build(args.seed, max(20, args.principals // 5), products, days)
    assignments = folk.assignments(args.seed, accounts, people)
    world.fill(args.seed, accounts, people, args.principals, args.days, assignments)
    sessions = folk.sessions(args.seed, people, folk.held(people, assignments), days)
    tasks = [(args.seed, account, people, sessions.get(account.id, {}), days, args.end, args.out)
             for account in accounts]
    # The largest first, so that no process works alone at the end.
    tasks.sort(key=lambda task: -len(task[1].roles))
    with multiprocessing.Pool() as pool:
        written = pool.map(write_account, tasks, 1)
    state.save(os.path.join(args.out, "organization.json"), state.organization(accounts))
    state.save(os.path.join(args.out, "identity-center.json"), state.identity_center(people, assignments))
    state.save(os.path.join(args.out, "trails.json"), state.trails(accounts))
    state.roster(people, accounts, os.path.join(args.out, "roster.csv"))
    with open(os.path.join(args.out, "jitscan.toml"), "w", encoding="utf-8") as file:
        file.write(f'break_glass = ["arn:aws:iam::*:role/break-glass"]\nregions = {json.dumps(world.REGIONS)}\n')
    # The state is of four hours before the end: within the window of use, where it can prove something.
    made = {"end": args.end.isoformat(), "captured_at": f"{days[-1]}T20:00:00Z", "days": args.days,
            "accounts": len(accounts), "people": len(people),
            "principals": sum(len(account.roles) + len(account.users) for account in accounts),
            "records": sum(records for records, _ in written), "files": sum(files for _, files in written)}
    state.save(os.path.join(args.out, "made.json"), made)
    print(json.dumps(made))


if __name__ == "__main__":
    main()
