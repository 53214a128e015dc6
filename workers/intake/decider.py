"""Decides about a record by the rules, and keeps the decision for the next that the same can be said of.

It runs for what `sort.py` found no kept decision for: a new key, a new page, a key that nobody knows, a key
that has a quota. Not kept is what hangs on how much came before: the budget of unknown keys, and quotas.
"""

from functools import cached_property

from topics.origin_verdicts import VerdictKind
from workers.intake.allowances import Allowances
from workers.intake.decided import Decided, Outcome, Plan
from workers.intake.disposed import NOTHING, Span
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Decision, Disposition
from workers.intake.envelope import Envelope
from workers.intake.facts import Account, Facts, exact_inputs, page_inputs
from workers.intake.kept import BEGINNING, END, PLATFORM_TERMS
from workers.intake.policy import KnownKey, Policy, Verdicts
from workers.intake.refusals import HOSTS, OTHERS, Refusal
from workers.intake.rules import decide

NO_TIME = Span(since=END, until=BEGINNING)
NAMED_MAX = 128  # unknown keys of a batch whose refused records are counted by name
NAME_MAX = 128  # characters: longer ones can't be registered


class Decider:
    """By one policy, whose changes it follows."""

    def __init__(self, policy: Policy, cached: int, unknown_bytes: int, unknown_share: int) -> None:
        """`cached`: decisions; `unknown_bytes` an hour and partition, `unknown_share` of them for one key."""
        self._policy = policy
        self._believed = True  # what is kept was decided by all verdicts
        self._unknown_bytes, self._unknown_share = unknown_bytes, unknown_share
        self._unclaimed_since = END  # ms: what nobody claims and was appended before is past its retention
        self._unclaimed = NO_TIME  # and what was disposed of it
        self.decided = Decided(cached)
        policy.follow(self.decided.forget_key, self._forget_workspace)

    def _forget_workspace(self, workspace: str) -> None:
        """The platform's own bears on keys of every workspace that is not known."""
        if workspace == PLATFORM:
            self._unclaimed = NO_TIME
            self.decided.forget_all()
        else:
            self.decided.forget_workspace(workspace)

    def keep_clock(self, now: int) -> None:
        """Forgets what `now` (ms), or the age of the verdicts, has made of no use. Once a chunk."""
        self.decided.keep_clock(now)
        self._unclaimed_since = PLATFORM_TERMS[UNCLAIMED].kept_since(now)
        believed = not self._policy.verdicts_stale()
        if believed is not self._believed:
            self._believed = believed
            for key in self._policy.judged:
                self.decided.forget_key(key)

    def outcome(
        self,
        envelope: Envelope,
        plan: Plan | None,
        appended: int,
        now: int,
        size: int,
        allowances: Allowances,
        refused: dict[str, Outcome],
    ) -> Outcome:
        """Of a record with a value of `size` bytes. Times in ms.

        `plan`: what `decided.known` has of its key. Not before `keep_clock` was told `now`.
        `refused`: the batch's own, of unknown keys by their names.
        """
        write_key = envelope.write_key
        outcome = None
        if plan is not None and plan.begins <= appended < plan.ends:  # it has a quota, or lacks this page
            outcome = plan.outcome or plan.pages.get(page_inputs(envelope))
        if plan is None or outcome is None:
            key = self._policy.write_key(write_key)
            if key is None:
                span = self._unclaimed
                if not span.since <= appended < span.until:
                    span = self._unclaimed = self._policy.disposed.at(PLATFORM, UNCLAIMED, appended)
                if appended < self._unclaimed_since or Clock.UNCLAIMED in span.clocks:
                    return self._unknown_late
                return self._of_unknown_key(write_key, appended, size, allowances, refused)
            plan, outcome = self._by_rules(key, envelope, appended, now)
        quotas, limit = allowances.quotas, plan.limit
        if limit is None or quotas is None or not outcome.metered:
            return outcome
        if quotas.take(write_key, limit, appended, size):
            return outcome
        return plan.over.get(page_inputs(envelope)) or self._over_quota(plan, envelope, appended, now)

    def _by_rules(self, key: KnownKey, envelope: Envelope, appended: int, now: int) -> tuple[Plan, Outcome]:
        write_key, inputs = envelope.write_key, page_inputs(envelope)
        plan = self.decided.plan(write_key, key.workspace, appended)
        if plan is not None:
            outcome = plan.outcome or plan.pages.get(inputs)
            if outcome is not None:
                return plan, outcome
            if plan.others is not None and len(plan.pages) >= HOSTS:
                return plan, plan.others
            account = plan.account
        else:
            workspace = self._policy.workspace(key.workspace)
            account = Account(workspace, key.source) if workspace is not None else None
        exact = exact_inputs(inputs, envelope)
        verdicts = self._verdicts(write_key)
        facts = Facts(
            key,
            account,
            appended=appended,
            now=now,
            inputs=exact,
            verdicts=verdicts,
            disposed=self._policy.disposed.at(PLATFORM, UNCLAIMED, appended)
            if account is None
            else self._policy.disposed.at(key.workspace, key.source, appended),
        )
        decision = decide(facts)
        refusal = None
        if decision.disposition is Disposition.REJECTED:
            whatever_page = not facts.page_was_read
            refusal = _refusal(decision, write_key, facts.page.witness or "")
        outcome = Outcome(decision, refusal) if refusal else self.decided.outcome(decision)
        if plan is None:
            plan = self.decided.keep(write_key, key.workspace, facts, outcome, now)
            if refusal is not None and whatever_page:
                plan.others = Outcome(decision, refusal._replace(host=OTHERS))
        if facts.page_was_read and exact == inputs:
            self.decided.keep_page(plan.pages, inputs, outcome)
            plan.keep_usual(inputs, outcome)
        return plan, outcome

    def _over_quota(self, plan: Plan, envelope: Envelope, appended: int, now: int) -> Outcome:
        """Of a page whose records were not over it before; rejected ones are counted by their host."""
        inputs = page_inputs(envelope)
        exact = exact_inputs(inputs, envelope)
        key = self._policy.write_key(envelope.write_key)
        facts = Facts(
            key,
            plan.account,
            appended=appended,
            now=now,
            inputs=exact,
            over_quota=True,
            verdicts=self._verdicts(envelope.write_key),
            disposed=self._policy.disposed.at(key.workspace, key.source, appended) if key else NOTHING,
        )
        decision = decide(facts)
        if decision.disposition is not Disposition.REJECTED:
            outcome = self.decided.outcome(decision)
        elif len(plan.over) >= HOSTS:
            plan.over_others = plan.over_others or Outcome(
                decision, _refusal(decision, envelope.write_key, OTHERS)
            )
            return plan.over_others
        else:
            outcome = Outcome(decision, _refusal(decision, envelope.write_key, facts.page.witness or ""))
        if exact == inputs:
            self.decided.keep_page(plan.over, inputs, outcome)
        return outcome

    def _verdicts(self, write_key: str) -> Verdicts:
        """Those to decide by: of old ones, those alone that keep out what the customer blocked."""
        known = self._policy.verdicts(write_key)
        if self._believed or not known:
            return known
        return {host: verdict for host, verdict in known.items() if verdict.kind is VerdictKind.HOSTILE}

    def _of_unknown_key(
        self, write_key: str, appended: int, size: int, allowances: Allowances, refused: dict[str, Outcome]
    ) -> Outcome:
        """Not kept: a flood of invented keys must not push out what is known of the others."""
        line, budget, share = size + 1, self._unknown_bytes, self._unknown_share
        if allowances.unknown.room(write_key, appended, line, budget, share) >= 0:
            return self._unknown_kept
        outcome = refused.get(write_key)
        if outcome is None:
            name = write_key if len(refused) < NAMED_MAX and len(write_key) <= NAME_MAX else OTHERS
            outcome = refused.get(name)
            if outcome is None:
                decision = self._unknown_refused
                outcome = refused[name] = Outcome(decision, _refusal(decision, name, ""))
        return outcome

    # of a key that nobody knows, the rules can ask nothing else

    @cached_property
    def _unknown_kept(self) -> Outcome:
        return Outcome(decide(Facts(None, None, appended=0, now=0, room=0)))

    @cached_property
    def _unknown_late(self) -> Outcome:
        decision = decide(Facts(None, None, appended=BEGINNING, now=0, room=0))
        return Outcome(decision, _refusal(decision, OTHERS, ""))

    @cached_property
    def _unknown_refused(self) -> Decision:
        return decide(Facts(None, None, appended=0, now=0, room=-1))


def _refusal(decision: Decision, write_key: str, host: str) -> Refusal:
    return Refusal(decision.workspace, decision.source, write_key, decision.reason, host)
