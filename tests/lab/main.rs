//! The lab: heraldns beside a stock Linux router in network namespaces, each test proving a claim on the real thing.
//!
//! It needs root and a few tools; without them every test is reported *ignored*, and `HERALDNS_LAB=required` makes that
//! a failure. Most tests measure milliseconds, each alone on the machine; those of OSPFv3 spend minutes waiting for routers' timers,
//! and do that beside each other (`harness::quiet`). `--test-threads=1` runs all one after the other.
//! `LAB_REPEAT=20` repeats what is measured and prints median and worst.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures and logs are printed for people")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod connections;
mod failover;
mod faults;
mod harness;
mod hostile;
mod instruments;
mod one_server;
mod ospf;
mod ospf_routers;
mod peer_messages;
mod pictures;
mod rotate;
mod router_side;
mod standby;
mod status_page;
mod syscalls;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::harness::browser;
use crate::harness::command::is_installed;
use crate::harness::namespace::sweep_leftovers;
use crate::harness::quiet;
use crate::router_side::kernel;

/// Tests at a time, as far as they let each other.
const AT_A_TIME: usize = 3;

/// Tools of the system that the lab calls.
const TOOLS: [&str; 5] = ["ip", "bridge", "dig", "vtysh", "bird"];

/// `tests![alone module: one, two]` is the trials of these functions, named as they are; `beside`: others may run meanwhile.
macro_rules! tests {
    ($($place:ident $module:ident: $($test:ident),+ $(,)?);+ $(;)?) => {
        vec![$($(trial(stringify!($test), quiet::$place, $module::$test)),+),+]
    };
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_A_TIME));
    if missing(&[]).is_none() {
        sweep_leftovers();
    }
    let trials = trials().into_iter().chain(recorders()).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials() -> Vec<Trial> {
    tests![
        beside ospf: claim_12_a_loaded_server_is_busy_and_comes_back_when_the_load_is_gone,
            claim_10_14_frr_shares_flows_and_stops_lose_none,
            claim_10_14_bird_shares_flows_and_stops_lose_none,
            claim_10_frr_failed_health_withdraws,
            claim_10_bird_failed_health_withdraws,
            claim_11_frr_all_idle_then_a_query,
            claim_11_bird_all_idle_then_a_query,
            claim_10_frr_killed_processes_and_a_restarted_router,
            claim_10_bird_killed_processes_and_a_restarted_router,
            claim_10_frr_old_lsas_and_doubled_router_ids,
            claim_10_bird_old_lsas_and_doubled_router_ids,
            claim_10_frr_authentication_in_a_stub_area,
            claim_10_bird_authentication_in_a_stub_area,
            claim_10_frr_external_nssa_and_point_to_point,
            claim_10_bird_external_nssa_and_point_to_point,
            claim_10_frr_beside_neighbor_discovery,
            control_frr_without_replaced_routes_and_without_the_nudge,
            ospf_what_does_not_fit_is_said,
            ospf_manual_configures_frr,
            ospf_manual_configures_bird;
        beside ospf_routers: ospf_routers_are_neighbors_of_each_other;
        alone instruments: instruments_see_kernel_neighbor_discovery,
            instruments_move_a_routers_entry,
            instruments_count_losses_duplicates_and_shares,
            instruments_make_a_switch_forget;
        alone one_server: claim_1_4_18_one_server_router_learns_its_mac,
            claim_1_a_new_service_address_works_at_once,
            claim_2_a_solicitation_is_answered,
            claim_2_solicited_start_is_silent_until_asked;
        alone failover: claim_3_9_planned_leave_loses_no_query,
            claim_3_planned_leave_across_a_forgetful_switch_loses_no_query,
            claim_3_servers_started_together_make_one_holder,
            claim_3_a_newcomer_does_not_displace_the_holder,
            claim_9_killed_holder_is_replaced,
            claim_9_killed_main_is_spoken_for,
            claim_9_killed_holder_and_one_more_are_replaced,
            claim_9_a_stalled_holder_is_replaced_and_comes_back_silent,
            claim_3_take_over_with_a_failed_entry_is_believed,
            claim_3_take_over_with_an_absent_entry_is_believed,
            claim_3_take_over_with_dropped_advertisements_is_believed,
            claim_3_a_healed_partition_leaves_one_holder,
            claim_3_a_strangers_advertisement_is_overridden,
            claim_2_a_rebooted_router_is_served_again,
            claim_1_two_routers_are_both_served,
            claim_15_members_leave_a_stock_routers_entry_where_it_is;
        alone connections: claim_9_a_drain_closes_connections_in_their_pauses_and_reports_what_it_cut;
        alone peer_messages: claim_17_peers_beyond_the_link_hear_each_other,
            claim_17_several_farms_share_a_link,
            claim_17_forged_peer_messages_are_counted_shown_and_change_nothing;
        alone rotate: claim_6_turns_share_equally,
            claim_6_turns_share_by_weight,
            claim_6_a_dead_servers_turns_are_taken_over;
        alone standby: claim_7_8_idle_standby_is_silent_and_wakes,
            claim_8_a_query_after_the_idle_holders_death_is_answered;
        alone faults: claim_9_link_down_withdraws_and_up_advertises_again,
            claim_9_lost_carrier_hands_over_and_comes_back_in_standby,
            claim_9_a_lost_route_hands_over_and_comes_back_in_standby,
            claim_9_a_link_that_is_back_without_its_routes_is_not_advertised_on,
            claim_9_address_deleted_by_hand_withdraws,
            claim_9_lone_server_without_its_address_is_silent_until_it_is_back,
            an_address_set_by_hand_stays_and_one_left_by_a_crash_goes,
            a_service_without_capabilities_is_refused_by_name;
        alone hostile: claim_2_malformed_packets_are_dropped_and_counted,
            claim_2_random_packets_change_nothing;
        alone kernel: claim_15_kernel_shares_flows_as_wished,
            claim_15_changed_shares_break_no_connection,
            claim_15_changes_under_load_lose_no_datagram,
            claim_15_a_predecessors_group_is_taken_over_and_foreign_objects_stay,
            claim_15_a_neighbor_outlives_its_next_hop_by_a_look,
            claim_15_what_a_link_or_a_hand_has_taken_away_is_put_back,
            claim_15_a_server_that_the_kernel_refuses_hinders_no_other,
            claim_15_two_hundred_servers_on_two_links;
        alone router_side: claim_15_16_weighted_shares_are_those_of_the_servers,
            claim_15_round_robin_shares_equally_and_restarts_lose_none,
            claim_16_17_a_share_follows_the_load_from_elsewhere,
            claim_15_weights_change_and_nothing_is_lost,
            claim_7_15_all_idle_then_a_query,
            claim_3_5_latest_follows_the_holder,
            the_end_of_a_router_side_gives_the_kernel_back_what_it_had,
            claim_9_15_a_drain_breaks_no_connection,
            claim_9_15_a_killed_server_leaves_the_entry,
            claim_15_a_link_that_is_up_again_delivers_at_once,
            claim_15_what_the_kernel_has_refused_is_tried_again,
            claim_15_a_plain_group_breaks_connections_of_others,
            claim_17_forged_messages_change_nothing_when_signed_ones_are_required,
            claim_15_a_flood_of_invented_servers_pushes_nobody_out,
            claim_15_two_hundred_servers_in_one_entry;
        alone syscalls: syscalls_a_link_is_not_asked_for_until_it_rings;
        alone status_page: status_page_shows_a_drain_and_a_server_that_goes_and_comes_back,
            status_page_of_a_lone_server_is_of_use_and_shows_names_as_text,
            metrics_are_as_promtool_wants_them;
    ]
}

/// `LAB_RECORD=FOLDER` adds a trial that records what the routers say to each other, `LAB_PICTURES=FOLDER` one that takes
/// the manual's pictures of the status page.
fn recorders() -> impl Iterator<Item = Trial> {
    let recorder = |variable: &str, name: &str, record: fn(&Path)| {
        let folder = PathBuf::from(std::env::var_os(variable)?);
        Some(Trial::test(name, move || {
            record(&folder);
            Ok(())
        }))
    };
    let packets = recorder("LAB_RECORD", "record", ospf_routers::record);
    packets.into_iter().chain(recorder("LAB_PICTURES", "pictures", pictures::take))
}

fn trial(name: &'static str, place: fn(fn()), test: fn()) -> Trial {
    let more: &[&str] = match name.split('_').next() {
        Some("status") => &browser::TOOLS,
        Some("metrics") => &["promtool"],
        Some("syscalls") => &syscalls::TOOLS,
        _ => &[],
    };
    Trial::ignorable_test(name, move || match missing(more) {
        None => {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || place(test));
            thread?.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok(Completion::Completed)
        }
        Some(missing) if std::env::var("HERALDNS_LAB").is_ok_and(|wish| wish == "required") => {
            Err(Failed::from(format!("HERALDNS_LAB=required, and the lab {missing}")))
        }
        Some(missing) => Ok(Completion::ignored_with(missing)),
    })
}

/// What stands in the lab's way, or in that of a test that needs `more` tools.
fn missing(more: &[&'static str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let absent = TOOLS.iter().chain(more).find(|tool| !is_installed(tool))?;
    Some(format!("needs the tool '{absent}'"))
}
