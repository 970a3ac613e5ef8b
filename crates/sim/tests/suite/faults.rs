//! Every fault that can be planted is caught, by the law that is there for it.

use maskline_sim::Fault::{self, *};
use maskline_sim::Law::{self, *};
use maskline_sim::World;
use maskline_sim::world::run;

const STEPS_MAX: u64 = 100_000;

fn caught(fault: Fault, by: &[Law]) {
    for seed in [1, 2] {
        match run(World::new(seed, Some(fault)), STEPS_MAX, |_| ()) {
            Ok(_) => panic!("{fault} breaks no law in {STEPS_MAX} steps of seed {seed}"),
            Err(broken) => assert!(
                by.contains(&broken.1.broken.law),
                "{fault}, seed {seed}: {}",
                broken.1
            ),
        }
    }
}

macro_rules! each {
    ($($name:ident: $fault:ident by $($law:ident),+;)+) => {
        $(
            #[test]
            fn $name() {
                caught($fault, &[$($law),+]);
            }
        )+

        #[test]
        fn every_fault_has_its_test() {
            let tested = [$($fault),+];
            for fault in Fault::ALL {
                assert!(tested.contains(&fault), "{fault} has none");
            }
        }
    };
}

each! {
    answer_before_durable: AnswerBeforeDurable by NothingLost;
    refusal_before_durable: RefusalBeforeDurable by NothingLost;
    refusal_forgets_flight: RefusalForgetsFlight by NothingLost;
    gathered_not_undone: GatheredNotUndone by UndoIsReload;
    undone_in_wrong_order: UndoneInWrongOrder by UndoIsReload;
    append_not_synced: AppendNotSynced by NothingLost, SameRows;
    unknown_taken_for_not_written: UnknownTakenForNotWritten by SameRows, NothingLost;
    not_written_taken_for_written: NotWrittenTakenForWritten by SameRows, NothingLost;
    answer_given_twice: AnswerGivenTwice by RightAnswer;
    answers_exchanged: AnswersExchanged by RightAnswer, OnceOnly;
    answer_forgotten: AnswerForgotten by RightAnswer;
    nonce_not_journalled: NonceNotJournalled by OnceOnly;
    nonce_forgotten_early: NonceForgottenEarly by OnceOnly;
    entries_reversed: EntriesReversed by RightAnswer;
    personal_values_lost: PersonalValuesLost by RightAnswer;
    replay_drops_last_batch: ReplayDropsLastBatch by SameRows, NothingLost;
    replay_drops_last_entry: ReplayDropsLastEntry by SameRows, NothingLost;
    first_form_loses_b: FirstFormLosesB by SameRows, NothingLost;
    snapshot_misses_a_row: SnapshotMissesARow by SameRows, NothingLost;
    half_snapshot_believed: HalfSnapshotBelieved by SameRows, NothingLost;
    read_does_not_wait: ReadDoesNotWait by DurableReads;
    route_ends_late: RouteEndsLate by RightParty;
    decision_ends_late: DecisionEndsLate by RightAnswer, OverIsOver;
    ended_still_conflicts: EndedStillConflicts by RightAnswer, OverIsOver;
    lock_ignored: LockIgnored by RightAnswer;
    cooling_ignored: CoolingIgnored by RightAnswer, OverIsOver;
    strict_falls_back: StrictFallsBack by RightAnswer;
    city_ignored: CityIgnored by RightAnswer;
    idle_order_ignored: IdleOrderIgnored by RightAnswer, OverIsOver;
    pairs_cap_ignored: PairsCapIgnored by RightAnswer;
    slot_of_b_not_claimed: SlotOfBNotClaimed by OneOwner, RightAnswer;
    update_skips_conflicts: UpdateSkipsConflicts by OneOwner, RightAnswer, RightParty;
    unbind_leaves_slot: UnbindLeavesSlot by RightParty, RightAnswer, SameRows, UndoIsReload;
    undo_forgets_an_event: UndoForgetsAnEvent by UndoIsReload;
    ids_from_the_clock_alone: IdsFromTheClockAlone by IdsAscend;
    time_goes_back: TimeGoesBack by Time;
    ended_while_clocks_disagree: EndedWhileClocksDisagree by Time;
    expiry_forgets_cooling: ExpiryForgetsCooling by OverIsOver;
    past_read_by_owner_of_x: PastReadByOwnerOfX by OwnOnly;
    retry_with_new_key: RetryWithNewKey by CarrierHolds, CarrierAnswer;
    released_before_answer: ReleasedBeforeAnswer by CarrierHolds;
    route_after_releasing: RouteAfterReleasing by RightParty, DurableReads;
    late_answer_confirms: LateAnswerConfirms by CarrierHolds, CarrierAnswer;
    silence_taken_for_done: SilenceTakenForDone by CarrierAnswer;
    failed_is_confirmed: FailedIsConfirmed by CarrierAnswer;
    asked_before_durable: AskedBeforeDurable by CarrierHolds, CarrierAnswer;
    start_forgets_asked: StartForgetsAsked by CarrierHolds;
    orphan_released_after_one_look: OrphanReleasedAfterOneLook by CarrierHolds, CarrierAnswer;
}
