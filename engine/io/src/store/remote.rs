//! An object of a store: announced ranges are merged, cut into requests and fetched ahead of the reader.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use plasmon_core::pipeline::CancelToken;
use plasmon_core::{Error, Result};

use super::runtime::{self, Pending};
use super::source::{ByteSource, check_range};

/// Announced ranges closer than this become one request: what lies between costs less than another round trip.
const GAP_BYTES_MAX: u64 = 512 * 1024;
/// A request asks for at most this much, so that long ranges come over several connections.
const REQUEST_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// One object, at the version that its listing told.
#[derive(Debug)]
pub(super) struct RemoteSource {
    pub(super) name: String,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) size: u64,
    pub(super) etag: Option<String>,
    pub(super) cancel: Option<CancelToken>,
    /// Requests under way or done, by offset, not overlapping.
    pub(super) requests: Mutex<Vec<Arc<Request>>>,
}

#[derive(Debug)]
pub(super) struct Request {
    range: Range<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Running(Pending<Result<Bytes>>),
    Done(Result<Bytes>),
}

impl Request {
    fn bytes(&self, cancel: Option<&CancelToken>) -> Result<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        if let State::Running(pending) = &*state {
            let outcome = pending.wait(cancel)?;
            *state = State::Done(outcome);
        }
        match &*state {
            State::Done(outcome) => outcome.clone(),
            State::Running(_) => Err(Error::internal("a request that was waited for still runs")),
        }
    }
}

impl RemoteSource {
    fn request(&self, range: Range<u64>) -> Result<Arc<Request>> {
        let (store, path, name) = (self.store.clone(), self.path.clone(), self.name.clone());
        let (asked, etag) = (range.clone(), self.etag.clone());
        let pending = runtime::start(async move {
            let options = GetOptions::new().with_range(Some(asked.clone())).with_if_match(etag);
            let outcome = async { store.get_opts(&path, options).await?.bytes().await }.await;
            let bytes = outcome.map_err(|e| Error::io(&name, super::client::message(&e)))?;
            let len = asked.end - asked.start;
            if bytes.len() as u64 != len {
                return Err(Error::io(&name, format!("the store sent {} of {len} bytes asked for", bytes.len())));
            }
            Ok(bytes)
        })?;
        Ok(Arc::new(Request { range, state: Mutex::new(State::Running(pending)) }))
    }

    /// Starts what is not under way; gives the requests that together hold `range`, in order.
    fn requests_of(&self, range: &Range<u64>) -> Result<Vec<Arc<Request>>> {
        let mut requests = self.requests.lock().unwrap_or_else(|e| e.into_inner());
        let mut wanted = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let next = requests.partition_point(|r| r.range.end <= at);
            if let Some(request) = requests.get(next).filter(|r| r.range.start <= at) {
                wanted.push(request.clone());
                at = request.range.end;
                continue;
            }
            let until = requests.get(next).map_or(range.end, |r| r.range.start.min(range.end));
            let end = until.min(at + REQUEST_BYTES_MAX);
            let request = self.request(at..end)?;
            requests.insert(next, request.clone());
            wanted.push(request);
            at = end;
        }
        Ok(wanted)
    }
}

impl ByteSource for RemoteSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        check_range(self, &range)?;
        let requests = self.requests_of(&range)?;
        let part = |request: &Request| {
            let bytes = request.bytes(self.cancel.as_ref())?;
            let from = range.start.max(request.range.start) - request.range.start;
            let to = range.end.min(request.range.end) - request.range.start;
            Ok(bytes.slice(from as usize..to as usize))
        };
        if let [request] = &requests[..] {
            return part(request);
        }
        let mut whole = BytesMut::with_capacity((range.end - range.start) as usize);
        for request in &requests {
            whole.extend_from_slice(&part(request)?);
        }
        Ok(whole.freeze())
    }

    fn announce(&self, ranges: &[Range<u64>]) {
        for range in merged(ranges, self.size) {
            // What cannot be started now is told to whoever reads it.
            let _ = self.requests_of(&range);
        }
    }

    fn forget_before(&self, offset: u64) {
        self.requests.lock().unwrap_or_else(|e| e.into_inner()).retain(|r| r.range.end > offset);
    }

    fn held(&self) -> usize {
        let requests = self.requests.lock().unwrap_or_else(|e| e.into_inner());
        requests.iter().map(|r| (r.range.end - r.range.start) as usize).sum()
    }
}

/// The ranges in order, those with small gaps between them as one.
fn merged(ranges: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = ranges.iter().filter(|r| r.start < r.end && r.end <= size).cloned().collect();
    sorted.sort_by_key(|r| r.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES_MAX) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    fn source(bytes: Vec<u8>) -> RemoteSource {
        let store = Arc::new(InMemory::new());
        let (size, path) = (bytes.len() as u64, Path::from("object"));
        let (put, at) = (store.clone(), path.clone());
        runtime::start(async move { put.put(&at, bytes.into()).await })
            .expect("starts")
            .wait(None)
            .expect("ends")
            .expect("puts");
        RemoteSource { name: "object".into(), store, path, size, etag: None, cancel: None, requests: Mutex::default() }
    }

    #[test]
    fn close_ranges_merge_and_far_ones_do_not() {
        let far = GAP_BYTES_MAX + 100;
        assert_eq!(merged(&[50..60, 0..10, 5..20, far + 60..far + 70], far + 70), [0..60, far + 60..far + 70]);
        assert_eq!(merged(&[0..200], 100), [], "a range past the end is not fetched ahead");
    }

    #[test]
    fn reads_are_put_together_from_requests() {
        let bytes: Vec<u8> = (0..REQUEST_BYTES_MAX as usize * 2 + 1000).map(|i| (i % 251) as u8).collect();
        let source = source(bytes.clone());
        source.announce(&[100..200, REQUEST_BYTES_MAX * 2..REQUEST_BYTES_MAX * 2 + 10]);
        assert_eq!(source.requests.lock().unwrap().len(), 2);
        assert_eq!(source.held(), 110);
        for range in [0..bytes.len(), 150..160, 50..250, REQUEST_BYTES_MAX as usize - 5..REQUEST_BYTES_MAX as usize + 5]
        {
            assert_eq!(source.read(range.start as u64..range.end as u64).unwrap(), bytes[range]);
        }
        source.forget_before(u64::MAX);
        assert!(source.requests.lock().unwrap().is_empty());
        let message = source.read(0..source.size + 1).unwrap_err().to_string();
        assert!(message.contains("object: ") && message.contains("past the file's end"), "{message}");
    }

    #[test]
    fn a_cancelled_reader_stops_waiting() {
        let mut source = source(vec![1; 100]);
        let cancel = CancelToken::default();
        cancel.cancel();
        source.cancel = Some(cancel);
        // An endless request.
        let endless = runtime::start(std::future::pending::<Result<Bytes>>()).unwrap();
        let request = Request { range: 0..100, state: Mutex::new(State::Running(endless)) };
        source.requests.lock().unwrap().push(Arc::new(request));
        assert!(matches!(source.read(0..10), Err(Error::Cancelled)));
    }
}
