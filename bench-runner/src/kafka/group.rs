//! What librdkafka's group calls take and leave behind, for `member` alone: lists of partitions, errors, and callbacks that
//! only push into an inbox.

use crate::clock;
use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Room for the client's words.
pub(super) const ERROR_BYTES: usize = 512;

/// A partition and an offset.
pub type At = (u16, i64);

/// The group gives or takes partitions; the client waits until `assign` or `unassign` is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are to be assigned.
    Given(Vec<u16>),
    /// These are to be given up.
    Taken {
        /// Which.
        partitions: Vec<u16>,
        /// Somebody else may own them already: nothing can be committed any more.
        lost: bool,
    },
}

/// What became of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As given to `commit`; 0: a commit of the client's own.
    pub number: usize,
    /// When it was learned.
    pub at_ns: u64,
    /// The client's name of the error, if any partition has one.
    pub error: Option<String>,
    /// By partition: the offset, and whether the group holds it.
    pub parts: Vec<(At, bool)>,
}

/// An error of the client as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The client's words.
    pub text: String,
    /// Nothing can be read any more.
    pub fatal: bool,
}

/// What callbacks leave behind.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) changes: VecDeque<Change>,
    /// The client's own commits.
    pub(super) own: VecDeque<Answer>,
    pub(super) troubles: Vec<Trouble>,
    /// Nobody will answer changes: the callback does.
    pub(super) closing: bool,
}

/// A list of partitions of our own.
pub(super) struct List(pub(super) *mut rd::rd_kafka_topic_partition_list_t);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made by `list_new`, destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// # Safety
/// `list` is null or live.
pub(super) unsafe fn parts(list: *const rd::rd_kafka_topic_partition_list_t) -> Vec<(At, RDKafkaRespErr)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: by the contract; `elems` holds `cnt` elements (and may be null if that is 0).
    unsafe {
        (0..usize::try_from((*list).cnt).unwrap_or(0))
            .map(|index| &*(*list).elems.add(index))
            .map(|part| ((part.partition as u16, part.offset), part.err))
            .collect()
    }
}

/// # Safety
/// `list` is null or live.
pub(super) unsafe fn answer(
    number: usize,
    error: RDKafkaRespErr,
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> Answer {
    // SAFETY: by the contract.
    let parts = unsafe { parts(list) };
    let first = parts.iter().map(|(_, error)| *error).find(|error| ok(*error).is_err()).unwrap_or(error);
    let error = ok(error).and_then(|()| ok(first)).err();
    // An error of the call as a whole may leave the partitions' own errors empty.
    let all_failed = error.is_some() && parts.iter().all(|(_, error)| ok(*error).is_ok());
    Answer {
        number,
        at_ns: clock::now_ns(),
        error,
        parts: parts.into_iter().map(|(at, error)| (at, !all_failed && ok(error).is_ok())).collect(),
    }
}

/// Gives the name of an error.
pub(super) fn ok(error: RDKafkaRespErr) -> Result<(), String> {
    if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: names are static strings.
    Err(unsafe { text(rd::rd_kafka_err2name(error)) })
}

/// # Safety
/// `error` is null or an error of ours, destroyed here.
pub(super) unsafe fn said(error: *mut rd::rd_kafka_error_t) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by the contract; the words are copied before.
    unsafe {
        let words = text(rd::rd_kafka_error_string(error));
        rd::rd_kafka_error_destroy(error);
        Err(words)
    }
}

/// # Safety
/// `pointer` is null or a string that lives through the call.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the contract above.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// # Safety
/// `client` is live.
unsafe fn is_cooperative(client: *mut rd::rd_kafka_t) -> bool {
    // SAFETY: by the contract; the name is a static string.
    unsafe { text(rd::rd_kafka_rebalance_protocol(client)) == "COOPERATIVE" }
}

/// # Safety
/// Client and list are live.
pub(super) unsafe fn assign(
    client: *mut rd::rd_kafka_t,
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> Result<(), String> {
    // SAFETY: by the contract.
    unsafe {
        if is_cooperative(client) {
            said(rd::rd_kafka_incremental_assign(client, list))
        } else {
            ok(rd::rd_kafka_assign(client, list))
        }
    }
}

/// # Safety
/// Client and list are live.
pub(super) unsafe fn unassign(
    client: *mut rd::rd_kafka_t,
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> Result<(), String> {
    // SAFETY: by the contract; a null list gives all partitions up.
    unsafe {
        if is_cooperative(client) {
            said(rd::rd_kafka_incremental_unassign(client, list))
        } else {
            ok(rd::rd_kafka_assign(client, ptr::null()))
        }
    }
}

/// # Safety
/// Called by the client, with the opaque that `join` has set.
unsafe fn inbox<'a>(opaque: *mut c_void) -> &'a RefCell<Inbox> {
    // SAFETY: by the contract; the inbox outlives the client.
    unsafe { &*opaque.cast::<RefCell<Inbox>>() }
}

pub(super) unsafe extern "C" fn on_rebalance(
    client: *mut rd::rd_kafka_t,
    kind: RDKafkaRespErr,
    list: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the client calls with live handles; the list lives until we return.
    unsafe {
        let partitions = parts(list).into_iter().map(|((partition, _), _)| partition).collect();
        let inbox = inbox(opaque);
        let closing = inbox.borrow().closing;
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if closing {
                rd::rd_kafka_assign(client, ptr::null());
            } else {
                inbox.borrow_mut().changes.push_back(Change::Given(partitions));
            }
            return;
        }
        let lost = rd::rd_kafka_assignment_lost(client) != 0;
        inbox.borrow_mut().changes.push_back(Change::Taken { partitions, lost });
        if closing {
            // While it closes, the client has no use for an error.
            let _ = unassign(client, list);
        }
    }
}

pub(super) unsafe extern "C" fn on_own_commit(
    _client: *mut rd::rd_kafka_t,
    error: RDKafkaRespErr,
    list: *mut rd::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__NO_OFFSET {
        return;
    }
    // SAFETY: the client calls with live handles; the list lives until we return.
    unsafe {
        let answer = answer(0, error, list);
        inbox(opaque).borrow_mut().own.push_back(answer);
    }
}

pub(super) unsafe extern "C" fn on_error(
    client: *mut rd::rd_kafka_t,
    error: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    let fatal = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__FATAL as c_int;
    // SAFETY: the client calls with live handles and a string that lives until we return; the buffer is as long as said.
    unsafe {
        let mut words = text(reason);
        if fatal {
            let mut buffer: [c_char; ERROR_BYTES] = [0; ERROR_BYTES];
            rd::rd_kafka_fatal_error(client, buffer.as_mut_ptr(), buffer.len());
            words = text(buffer.as_ptr());
        }
        inbox(opaque).borrow_mut().troubles.push(Trouble { text: words, fatal });
    }
}
