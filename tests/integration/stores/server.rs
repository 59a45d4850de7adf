//! A web server in this process that speaks enough HTTP and S3 to read, list, write and delete, and that fails when told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Objects listed at a time, few, so that listings go on.
const PAGE: usize = 3;

/// How the next requests for data are treated.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// So many answers of status 500.
    Status(usize),
    /// So many bodies that end in the middle.
    Cut(usize),
    /// Answers that do not come.
    Stall,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Content by path, without the leading slash.
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    /// Parts by upload and number.
    pub(super) uploads: BTreeMap<String, BTreeMap<usize, Vec<u8>>>,
    pub(super) fault: Fault,
    /// Method and path (and range) of every request.
    pub(super) log: Vec<String>,
    begun: usize,
}

/// The server; it lives as long as the test process.
pub(super) struct Server {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Server { address, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn put(&self, path: &str, content: Vec<u8>) {
        self.state().objects.insert(path.to_string(), content);
    }

    /// Requests since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let fault = {
            let mut state = state.lock().unwrap_or_else(|e| e.into_inner());
            let range = request.headers.get("range").map(|r| format!(" {r}")).unwrap_or_default();
            state.log.push(format!("{} {}{range}", request.method, request.path));
            // Only bodies can be cut.
            let fault = match state.fault {
                Fault::Cut(_) if request.method != "GET" => Fault::None,
                fault => fault,
            };
            state.fault = match fault {
                Fault::Status(n) if n > 1 => Fault::Status(n - 1),
                Fault::Cut(n) if n > 1 => Fault::Cut(n - 1),
                Fault::Status(_) | Fault::Cut(_) => Fault::None,
                Fault::None | Fault::Stall => state.fault,
            };
            fault
        };
        while fault == Fault::Stall && state.lock().unwrap_or_else(|e| e.into_inner()).fault == Fault::Stall {
            std::thread::sleep(Duration::from_millis(5));
        }
        let answer = match fault {
            Fault::Status(_) => {
                Answer { status: "500 Internal Server Error", headers: vec![], body: b"broken".to_vec() }
            }
            _ => answer(&request, &mut state.lock().unwrap_or_else(|e| e.into_inner())),
        };
        let is_cut = matches!(fault, Fault::Cut(_)) && answer.body.len() > 1;
        if write_answer(stream, &request, &answer, is_cut).is_err() || is_cut {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_string(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")));
    let query = pairs.map(|(k, v)| (decoded(k), decoded(v))).collect();
    let path = decoded(path.trim_start_matches('/'));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_string());
    }
    let mut body = vec![0; headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, query, headers, body })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(value) => (bytes.push(value), rest = &after[2..]).1,
            None => (bytes.push(byte), rest = after).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write_answer(mut stream: &TcpStream, request: &Request, answer: &Answer, is_cut: bool) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !answer.headers.iter().any(|(n, _)| n == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method != "HEAD" {
        let len = if is_cut { answer.body.len() / 2 } else { answer.body.len() };
        stream.write_all(&answer.body[..len])?;
    }
    stream.flush()
}

fn etag(content: &[u8]) -> String {
    let hash = content.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("\"{hash:x}\"")
}

fn plain(status: &'static str, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: vec![], body: body.into() }
}

fn answer(request: &Request, state: &mut State) -> Answer {
    let query = |name: &str| request.query.get(name);
    match request.method.as_str() {
        "GET" if query("list-type").is_some() => list(request, state),
        "GET" | "HEAD" => get(request, state),
        "PUT" => match (query("uploadId"), query("partNumber").and_then(|n| n.parse::<usize>().ok())) {
            (Some(upload), Some(part)) => {
                state.uploads.entry(upload.clone()).or_default().insert(part, request.body.clone());
                Answer { status: "200 OK", headers: vec![("ETag".into(), etag(&request.body))], body: vec![] }
            }
            _ => {
                state.objects.insert(request.path.clone(), request.body.clone());
                Answer { status: "200 OK", headers: vec![("ETag".into(), etag(&request.body))], body: vec![] }
            }
        },
        "POST" if query("uploads").is_some() => {
            state.begun += 1;
            let id = format!("upload-{}", state.begun);
            state.uploads.insert(id.clone(), BTreeMap::new());
            plain(
                "200 OK",
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"),
            )
        }
        "POST" if query("delete").is_some() => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let bucket = request.path.trim_end_matches('/');
            let keys: Vec<String> =
                body.split("<Key>").skip(1).filter_map(|k| Some(k.split_once("</Key>")?.0.to_string())).collect();
            let deleted: String = keys.iter().map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
            keys.iter().for_each(|key| drop(state.objects.remove(&format!("{bucket}/{key}"))));
            plain("200 OK", format!("<DeleteResult>{deleted}</DeleteResult>"))
        }
        "POST" => match query("uploadId").and_then(|id| state.uploads.remove(id)) {
            Some(parts) => {
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                let tag = etag(&whole);
                state.objects.insert(request.path.clone(), whole);
                plain(
                    "200 OK",
                    format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"),
                )
            }
            None => plain("404 Not Found", ""),
        },
        "DELETE" => {
            match query("uploadId") {
                Some(id) => drop(state.uploads.remove(id)),
                None => drop(state.objects.remove(&request.path)),
            }
            plain("204 No Content", "")
        }
        _ => plain("405 Method Not Allowed", ""),
    }
}

fn get(request: &Request, state: &State) -> Answer {
    let Some(content) = state.objects.get(&request.path) else { return plain("404 Not Found", "no such object") };
    let mut headers = vec![
        ("ETag".to_string(), etag(content)),
        ("Last-Modified".to_string(), "Mon, 01 Jan 2024 00:00:00 GMT".to_string()),
        ("Accept-Ranges".to_string(), "bytes".to_string()),
    ];
    if request.headers.get("if-match").is_some_and(|tag| *tag != etag(content)) {
        return plain("412 Precondition Failed", "");
    }
    let range = request.headers.get("range").and_then(|r| r.strip_prefix("bytes=")?.split_once('-'));
    let bounds = range.and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
    let Some((from, to)) = bounds else {
        return Answer { status: "200 OK", headers, body: content.clone() };
    };
    let end = content.len().min(to + 1);
    headers.push(("Content-Range".to_string(), format!("bytes {from}-{}/{}", end - 1, content.len())));
    Answer { status: "206 Partial Content", headers, body: content[from..end].to_vec() }
}

fn list(request: &Request, state: &State) -> Answer {
    let bucket = request.path.trim_end_matches('/');
    let prefix = request.query.get("prefix").cloned().unwrap_or_default();
    let after =
        request.query.get("continuation-token").or(request.query.get("start-after")).cloned().unwrap_or_default();
    let keys = state
        .objects
        .iter()
        .filter_map(|(path, content)| Some((path.strip_prefix(bucket)?.strip_prefix('/')?, content)));
    let mut found: Vec<_> = keys.filter(|(key, _)| key.starts_with(&prefix) && **key > *after).collect();
    let is_truncated = found.len() > PAGE;
    found.truncate(PAGE);
    let contents: String = found
        .iter()
        .map(|(key, content)| {
            let tag = etag(content);
            format!("<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>{tag}</ETag><Size>{}</Size></Contents>", content.len())
        })
        .collect();
    let next = match found.last() {
        Some((key, _)) if is_truncated => format!("<NextContinuationToken>{key}</NextContinuationToken>"),
        _ => String::new(),
    };
    plain(
        "200 OK",
        format!(
            "<ListBucketResult><Name>{bucket}</Name><KeyCount>{}</KeyCount><IsTruncated>{is_truncated}</IsTruncated>{contents}{next}</ListBucketResult>",
            found.len()
        ),
    )
}
