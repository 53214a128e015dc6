------------------------------- MODULE Ledger -------------------------------
(* The ledger protocol of one partition (docs/architecture.md, Flush): any number of writers believe that they own it,
   and the store's conditional PUT is all that stands between them. How to run it and read it: docs/model.md.

   What makes it strict:
   - A request that was sent is never taken back. The store may carry it out at once, later, when its sender is dead or
     fenced, again (a retry), or never; and any answer may be lost.
   - A writer may rest before any of its steps for as long as it likes: that is a pause. It may forget everything at any
     time: that is a crash, a revocation, a lost session. Nothing keeps two writers apart.

   An entry and an object are no more than the attempt that made them: same attempt, same bytes, same digest.
   Each mutant is one changed condition, chosen by the constant Mutant, so that model and mutants can't drift apart. *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
  Writers,       \* model values
  Flushes,       \* attempts of each writer, over all its lives
  Spare,         \* more attempts for the one that is left when faults have ended; 0: they never end
  End,           \* the log holds the offsets 0 .. End - 1
  MaxStart,      \* how far retention may move the log's start; 0: not at all, and genesis is there from the beginning
  Incarnations,  \* how many chains there may be, one after the other
  Late,          \* whether what can't count any more still moves (see View)
  Mutant,        \* the defect, or "none"
  Nobody

VARIABLES
  start,     \* the first offset that the log still holds
  genesis,   \* incarnation -> the chain's first offset, or Nobody
  chain,     \* incarnation -> slot -> the attempt whose entry is stored there, or a closing, or Nobody
  geneses,   \* PUTs of the first genesis that were sent: the start of the log that each sender saw
  closings,  \* PUTs of closing entries that were sent: <<incarnation, slot, where the next incarnation begins>>
  objects,   \* data objects in the store: <<name, the attempt that sealed it>>
  doomed,    \* data objects whose DELETE was sent
  writer,    \* writer -> whether it believes that it owns the partition, in which incarnation, its confirmed head
  flight,    \* attempt -> the flush that uses it: how far it is, its chain, first, next
  calm       \* the writer that is left when faults have ended; Nobody before

ledger == <<genesis, chain>>
sent == <<geneses, closings>>
data == <<objects, doomed>>
vars == <<start, ledger, sent, data, writer, flight, calm>>

Is(mutant) == Mutant = mutant
Attempts == Writers \X (1 .. Flushes + Spare)
Offsets == 0 .. End - 1
Chains == 1 .. Incarnations

-----------------------------------------------------------------------------
(* What is stored *)

Closing(begins) == <<"closing", begins>>
IsClosing(e) == e # Nobody /\ e \notin Attempts
Begins(closing) == closing[2]

First(a) == flight[a].first
Next(a) == flight[a].next
Slot(a) == chain[flight[a].chain][First(a)]  \* what is stored where a's entry belongs

\* Follows `next` from entry to entry. Entries never change, so this one step ends where single reads would: the last
\* of them decides, the one that finds nothing.
RECURSIVE Walk(_, _)
Walk(i, at) ==
  IF at >= End \/ chain[i][at] = Nobody \/ IsClosing(chain[i][at]) THEN at ELSE Walk(i, Next(chain[i][at]))

Head(i) == Walk(i, genesis[i])
Closed(i) == \E s \in Offsets : IsClosing(chain[i][s])
Opened == {i \in Chains : genesis[i] # Nobody}
Newest == CHOOSE i \in Opened : \A j \in Opened : j <= i
Committed == {a \in Attempts : flight[a].pc # "unused" /\ Slot(a) = a}

\* A data object's name is its attempt's alone. Two mutants leave the attempt out of it.
Name(a) == IF Mutant \in {"data_as_fence", "data_believed"} THEN <<First(a), Next(a)>> ELSE a
Object(a) == <<Name(a), a>>
NameTaken(a) == \E o \in objects : o[1] = Name(a)

-----------------------------------------------------------------------------
(* What a writer remembers *)

\* Once faults have ended, one writer is left.
Awake(w) == calm \in {w, Nobody}

Idle == [owns |-> FALSE, chain |-> 0, head |-> 0]
Owner(i, head) == [owns |-> TRUE, chain |-> i, head |-> head]

(* A flight:  unused -> uploading (the object's PUT was sent) -> uploaded -> committing (the entry's PUT was sent)
                     -> refused (412, the winner not read yet) -> confirmed;
   given up:  dropped (its entry was never sent), adrift (its entry was sent, and may still arrive) *)
Unused == [pc |-> "unused", chain |-> 0, first |-> 0, next |-> 0]
Flying(a) == flight[a].pc \in {"uploading", "uploaded", "committing", "refused"}
Flights(w) == {a \in Attempts : a[1] = w /\ Flying(a)}
GivenUp(a) == IF flight[a].pc \in {"committing", "refused"} THEN "adrift" ELSE "dropped"

\* Given up, and its entry can't come any more: it was never sent, or another has its slot.
Gone(a) == flight[a].pc = "dropped" \/ (flight[a].pc = "adrift" /\ Slot(a) \notin {a, Nobody})

To(a, pc) == flight' = [flight EXCEPT ![a].pc = pc]
Advance(a) == To(a, "confirmed") /\ writer' = [writer EXCEPT ![a[1]].head = Next(a)]

\* These writers forget everything.
Drop(ws) ==
  /\ writer' = TLCEval([w \in Writers |-> IF w \in ws THEN Idle ELSE writer[w]])
  /\ flight' = TLCEval([a \in Attempts |->
       IF a[1] \in ws /\ Flying(a) THEN [flight[a] EXCEPT !.pc = GivenUp(a)] ELSE flight[a]])

-----------------------------------------------------------------------------
(* Claim: the ledger says where to go on *)

\* No chain yet: PUT genesis, with the log's start. Whoever won is obeyed, so the writer remembers nothing.
Open(w) ==
  /\ Awake(w)
  /\ ~writer[w].owns
  /\ genesis[1] = Nobody
  /\ geneses' = geneses \union {start}
  /\ writer' = IF Is("genesis_not_read_again") THEN [writer EXCEPT ![w] = Owner(1, start)] ELSE writer
  /\ UNCHANGED <<start, ledger, closings, data, flight, calm>>

\* What the hint in Kafka's group may name: any writer that confirmed an entry may have been the last to commit it there,
\* late, out of order, a member or not. So at any time each of them, and no variable is needed.
Hints == {a \in Attempts : flight[a].pc = "confirmed" \/ (Is("kafka_first") /\ flight[a].pc = "committing")}

\* The head by search, or by the entries behind the hinted one, if that is stored with its digest.
Heads(i) ==
  CASE Is("kafka_first") -> {Head(i)} \union {Next(a) : a \in Hints}
    [] Is("kafka_believed") -> Offsets  \* somebody reset the group, and nothing is asked but its offset
    [] OTHER -> {Head(i)} \union {Walk(i, Next(a)) : a \in {h \in Hints : Slot(h) = h /\ flight[h].chain = i}}

Claim(w) ==
  /\ Awake(w)
  /\ ~writer[w].owns
  /\ Opened # {}
  /\ ~Closed(Newest)
  /\ \E head \in Heads(Newest) :
       /\ start <= head  \* else the log was cut before it was archived: the partition is halted until that is acknowledged
       /\ head < End
       /\ writer' = [writer EXCEPT ![w] = Owner(Newest, head)]
  /\ UNCHANGED <<start, ledger, sent, data, flight, calm>>

-----------------------------------------------------------------------------
(* Flush *)

\* Cuts a batch of any size behind the flights before it, and sends the PUT of its object.
Begin(w) ==
  /\ writer[w].owns
  /\ \E k \in 1 .. (IF calm = w THEN Flushes + Spare ELSE Flushes) :
       /\ flight[<<w, k>>].pc = "unused"
       /\ \A j \in 1 .. k - 1 : flight[<<w, j>>].pc # "unused"
       /\ LET flying == Flights(w)
              first == IF flying = {} THEN writer[w].head ELSE Next(CHOOSE a \in flying : \A b \in flying : b[2] <= a[2])
          IN /\ start <= first  \* what the log no longer holds can't be fetched
             /\ \E next \in first + 1 .. End :
                  flight' = [flight EXCEPT ![<<w, k>>] =
                    [pc |-> "uploading", chain |-> writer[w].chain, first |-> first, next |-> next]]
  /\ UNCHANGED <<start, ledger, sent, data, writer, calm>>

\* The store gets the object's PUT, and the name is free. The answer comes, or is lost.
StoreObject(a) ==
  /\ flight[a].pc \notin {"unused", "confirmed"}
  /\ Late \/ ~Gone(a)
  /\ ~NameTaken(a)
  /\ objects' = objects \union {Object(a)}
  /\ UNCHANGED flight \/ (flight[a].pc = "uploading" /\ To(a, "uploaded"))
  /\ UNCHANGED <<start, ledger, sent, doomed, writer, calm>>

\* 412 for an object: our own, whose answer was lost, as its metadata prove.
ObjectRefused(a) ==
  /\ flight[a].pc = "uploading"
  /\ NameTaken(a)
  /\ IF Object(a) \in objects \/ Is("data_believed")
     THEN To(a, "uploaded") /\ UNCHANGED writer
     ELSE Drop({a[1]})
  /\ UNCHANGED <<start, ledger, sent, data, calm>>

\* Sends the PUT of the entry, once the objects are there and the entry before it is confirmed.
SendEntry(a) ==
  /\ flight[a].pc = "uploaded" \/ (Is("entry_before_objects") /\ flight[a].pc = "uploading")
  /\ writer[a[1]].head = First(a) \/ Is("entry_ahead")
  /\ To(a, "committing")
  /\ UNCHANGED <<start, ledger, sent, data, writer, calm>>

\* The store gets the entry's PUT, and the slot is free.
StoreEntry(a) ==
  /\ flight[a].pc \in {"committing", "refused", "adrift", "confirmed"}
  /\ Slot(a) = Nobody \/ (Is("unconditional_put") /\ Slot(a) # a)
  /\ chain' = [chain EXCEPT ![flight[a].chain][First(a)] = a]
  /\ UNCHANGED <<start, genesis, sent, data, writer, flight, calm>>

\* 200
EntryStored(a) ==
  /\ flight[a].pc = "committing"
  /\ Slot(a) = a
  /\ Advance(a)
  /\ UNCHANGED <<start, ledger, sent, data, calm>>

\* 412: the slot is taken, perhaps by our own PUT, whose answer was lost.
EntryRefused(a) ==
  /\ flight[a].pc = "committing"
  /\ Slot(a) # Nobody
  /\ CASE Is("winner_not_read") -> Advance(a) /\ UNCHANGED objects
       [] Is("fenced_unread") -> Drop({a[1]}) /\ UNCHANGED objects
       [] Is("tidied_unread") -> Drop({a[1]}) /\ objects' = objects \ {Object(a)}
       [] OTHER -> To(a, "refused") /\ UNCHANGED <<writer, objects>>
  /\ UNCHANGED <<start, ledger, sent, doomed, calm>>

\* The winner is read: ours, so committed; another's or a closing, so fenced.
ReadWinner(a) ==
  /\ flight[a].pc = "refused"
  /\ CASE Slot(a) = a -> Advance(a)
       [] Slot(a) # a /\ IsClosing(Slot(a)) /\ Is("closing_passed") ->
            To(a, "adrift") /\ writer' = [writer EXCEPT ![a[1]].head = Begins(Slot(a))]
       [] Slot(a) # a /\ ~IsClosing(Slot(a)) /\ Is("advance_after_412") -> Advance(a)
       [] OTHER -> Drop({a[1]})
  /\ UNCHANGED <<start, ledger, sent, data, calm>>

Forget(w) ==
  /\ calm = Nobody
  /\ writer[w].owns
  /\ Drop({w})
  /\ UNCHANGED <<start, ledger, sent, data, calm>>

-----------------------------------------------------------------------------
(* The orphan sweeper sees an object, reads the ledger, and sends a DELETE. There may be any number of sweepers, and a
   DELETE may be carried out late: what was true when it was sent must stay true. *)

\* No entry lists it, and its entry can't come any more: its slot is taken, or the chain has passed it, or is closed before it.
IsOrphan(a) ==
  LET i == flight[a].chain
  IN /\ \A c \in Committed : Name(c) # Name(a)
     /\ \/ Slot(a) # Nobody
        \/ i \in Opened /\ Head(i) > First(a)
        \/ \E s \in Offsets : s < First(a) /\ IsClosing(chain[i][s])
        \/ Is("sweep_without_rule")

Sweep(a) ==
  /\ Object(a) \in objects \ doomed
  /\ Late \/ ~Gone(a)
  /\ IsOrphan(a)
  /\ doomed' = doomed \union {Object(a)}
  /\ UNCHANGED <<start, ledger, sent, objects, writer, flight, calm>>

Delete(a) ==
  /\ Object(a) \in doomed \intersect objects
  /\ Late \/ ~Gone(a)
  /\ objects' = objects \ {Object(a)}
  /\ UNCHANGED <<start, ledger, sent, doomed, writer, flight, calm>>

-----------------------------------------------------------------------------
(* Opening, retention, and `strongroom ledger acknowledge` *)

StoreGenesis ==
  /\ genesis[1] = Nobody
  /\ \E first \in geneses : genesis' = [genesis EXCEPT ![1] = first]
  /\ UNCHANGED <<start, chain, sent, data, writer, flight, calm>>

MoveStart ==
  /\ calm = Nobody
  /\ start < MaxStart
  /\ start' = start + 1
  /\ UNCHANGED <<ledger, sent, data, writer, flight, calm>>

\* Offsets are gone that were never archived. That goes on the record: a closing entry at the chain's next free slot.
Acknowledge(i) ==
  /\ i + 1 \in Chains
  /\ genesis[i] # Nobody /\ genesis[i + 1] = Nobody
  /\ ~Closed(i)
  /\ Head(i) < start
  /\ IF Is("not_closed")
     THEN genesis' = [genesis EXCEPT ![i + 1] = start] /\ UNCHANGED closings
     ELSE closings' = closings \union {<<i, Head(i), start>>} /\ UNCHANGED genesis
  /\ UNCHANGED <<start, chain, geneses, data, writer, flight, calm>>

StoreClosing ==
  /\ \E c \in closings :
       /\ chain[c[1]][c[2]] = Nobody
       /\ chain' = [chain EXCEPT ![c[1]][c[2]] = Closing(c[3])]
  /\ UNCHANGED <<start, genesis, sent, data, writer, flight, calm>>

\* Whoever finds a closed chain without the next one's genesis writes it, from the closing entry: always the same bytes.
OpenNext(i) ==
  /\ i + 1 \in Chains
  /\ genesis[i + 1] = Nobody
  /\ \E s \in Offsets :
       /\ IsClosing(chain[i][s])
       /\ genesis' = [genesis EXCEPT ![i + 1] = Begins(chain[i][s])]
  /\ UNCHANGED <<start, chain, sent, data, writer, flight, calm>>

-----------------------------------------------------------------------------
Init ==
  /\ start = 0
  /\ genesis = [i \in Chains |-> IF i = 1 /\ MaxStart = 0 THEN 0 ELSE Nobody]
  /\ chain = TLCEval([i \in Chains |-> [s \in Offsets |-> Nobody]])
  /\ geneses = {} /\ closings = {} /\ objects = {} /\ doomed = {}
  /\ writer = TLCEval([w \in Writers |-> Idle])
  /\ flight = TLCEval([a \in Attempts |-> Unused])
  /\ calm = Nobody

WriterStep(w) ==
  \/ Open(w) \/ Claim(w) \/ Begin(w)
  \/ \E k \in 1 .. Flushes + Spare :
       \/ ObjectRefused(<<w, k>>) \/ SendEntry(<<w, k>>)
       \/ EntryStored(<<w, k>>) \/ EntryRefused(<<w, k>>) \/ ReadWinner(<<w, k>>)

\* From here on one writer is left, and forgets nothing. What the others sent may still arrive.
Settle(w) ==
  /\ Spare > 0
  /\ calm = Nobody
  /\ calm' = w
  /\ Drop(Writers \ {w})
  /\ UNCHANGED <<start, ledger, sent, data>>

NextState ==
  \/ \E w \in Writers : WriterStep(w) \/ Forget(w) \/ Settle(w)
  \/ \E a \in Attempts : StoreObject(a) \/ StoreEntry(a) \/ Sweep(a) \/ Delete(a)
  \/ StoreGenesis \/ MoveStart
  \/ \E i \in Chains : Acknowledge(i) \/ OpenNext(i)
  \/ StoreClosing

Spec == Init /\ [][NextState]_vars

-----------------------------------------------------------------------------
(* What must hold. The numbers are those of docs/architecture.md, Invariants. *)

RECURSIVE Met(_, _)
Met(i, at) ==  \* the slots that a reader of chain i meets from `at` on
  IF at = Nobody \/ at >= End \/ chain[i][at] = Nobody THEN {}
  ELSE {at} \union (IF IsClosing(chain[i][at]) THEN {} ELSE Met(i, Next(chain[i][at])))

\* 1: from genesis, each entry begins where the one before it ended; there are no others, and none behind a closing.
Contiguous == \A i \in Chains : {s \in Offsets : chain[i][s] # Nobody} = Met(i, genesis[i])

\* Where the newest chain, or its closing, says that it goes on.
Frontier ==
  IF Opened = {} THEN 0
  ELSE LET head == Head(Newest)
       IN IF head < End /\ IsClosing(chain[Newest][head]) THEN Begins(chain[Newest][head]) ELSE head

Archived(o) == Cardinality({a \in Committed : First(a) <= o /\ o < Next(a)})
Lost(o) == Cardinality({x \in Chains \X Offsets : LET e == chain[x[1]][x[2]] IN IsClosing(e) /\ x[2] <= o /\ o < Begins(e)})

\* No record is archived twice, whatever became of the chain.
RecordsOnce == \A o \in Offsets : Archived(o) <= 1

\* 2: every offset from genesis to the head is in exactly one entry, or acknowledged as lost.
OffsetsOnce ==
  \A o \in Offsets :
    Archived(o) + Lost(o) = IF Opened # {} /\ genesis[1] <= o /\ o < Frontier THEN 1 ELSE 0

\* 3: what an entry lists is there, with the bytes that the entry names.
ObjectsExist == \A a \in Committed : Object(a) \in objects

\* 4 and 5: no step of anybody, however long it rested before, changes what was committed.
NothingCommittedChanges ==
  [][/\ \A i \in Chains : genesis[i] # Nobody => genesis'[i] = genesis[i]
     /\ \A i \in Chains, s \in Offsets : chain[i][s] # Nobody => chain'[i][s] = chain[i][s]]_ledger

\* 6: whatever the group's hint may name is in the ledger; with 1, its offset is not above the head.
HintBelowHead == Hints \subseteq Committed

\* What can't count any more never counts again: this is what View rests on.
GoneForEver == [][\A a \in Attempts : Gone(a) => (Gone(a) /\ a \notin Committed)']_vars

\* Whenever faults end, whatever they left, the writer that remains archives the whole log.
Progress == (calm # Nobody) ~> (Frontier >= End)

\* The store answers the writer that remains, in the end, and somebody acknowledges a loss.
FairSpec ==
  /\ Spec
  /\ \A w \in Writers : SF_vars(WriterStep(w))
  /\ WF_vars(\E a \in Attempts : Flying(a) /\ a[1] = calm /\ StoreObject(a))
  /\ WF_vars(\E a \in Attempts : Flying(a) /\ a[1] = calm /\ StoreEntry(a))
  /\ WF_vars(StoreGenesis) /\ WF_vars(StoreClosing)
  /\ WF_vars(\E i \in Chains : Acknowledge(i) \/ OpenNext(i))

-----------------------------------------------------------------------------
(* Which states the search tells apart.
   - Writers are alike: only how many are in which state counts.
   - A flight that is Gone can't be read, listed or committed: its range and its object make no difference to anything.
   - A writer that is behind (another's entry is where its own would go) can only be fenced, or forget: so are its flights.
   - A committed flight that nobody waits for is its entry, whoever knows of it.
   A state stands for all that look like it, so this could hide a violation, but never invent one. *)

Behind(w) ==
  /\ writer[w].owns
  /\ writer[w].head < End
  /\ LET e == chain[writer[w].chain][writer[w].head]
     IN e # Nobody /\ (IsClosing(e) \/ e[1] # w \/ ~Flying(e))

SeenFlight(a, behind) ==
  LET f == flight[a]
  IN CASE f.pc = "unused" -> "unused"
       [] Gone(a) \/ (behind /\ Flying(a)) -> "gone"
       [] ~Flying(a) /\ Slot(a) = a -> <<"committed", f.chain, f.first, f.next, Object(a) \in objects>>
       [] OTHER -> <<f, Slot(a) = a, Object(a) \in objects, Object(a) \in doomed>>

SeenWriter(w) ==
  LET behind == Behind(w)
  IN <<IF behind THEN "behind" ELSE writer[w], calm = w, [k \in 1 .. Flushes + Spare |-> SeenFlight(<<w, k>>, behind)]>>

View ==
  LET seen == TLCEval([w \in Writers |-> ToString(SeenWriter(w))])  \* texts can be compared, whatever they are of
  IN <<start, genesis, geneses, closings, {x \in Chains \X Offsets : IsClosing(chain[x[1]][x[2]])},
       {<<seen[w], Cardinality({v \in Writers : seen[v] = seen[w]})>> : w \in Writers}>>

\* What View rests on is checked too: a search without it (Late, Symmetry) must meet as many views as one with it.
Symmetry == Permutations(Writers)
ASSUME TLCSet(1, {})
Meet ==
  \/ View \in TLCGet(1)
  \/ TLCSet(1, TLCGet(1) \union {View}) /\ PrintT(<<"views", Cardinality(TLCGet(1))>>)
=============================================================================
