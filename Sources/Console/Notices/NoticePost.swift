import CCurl
import Dispatch

/// One POST of a notice: http or https, no redirect followed, no proxy, a limit on its time.
enum NoticePost {
    enum Outcome: Hashable, Sendable {
        case status(Int)
        /// Nobody answered.
        case failed(String)

        /// Any 2xx.
        var isReceived: Bool {
            if case .status(let status) = self { return (200...299).contains(status) }
            return false
        }
    }

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
    private static let queue = DispatchQueue(label: "notices", attributes: .concurrent)

    /// `timeLimit` in seconds. libcurl blocks, so it does that on a thread that nobody else needs.
    static func send(_ bytes: [UInt8], to url: String, timeLimit: Double) async -> Outcome {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: post(bytes, to: url, timeLimit)) }
        }
    }

    private static func post(_ bytes: [UInt8], to url: String, _ timeLimit: Double) -> Outcome {
        guard isReady, let handle = curl_easy_init() else {
            return .failed("libcurl cannot be used")
        }
        defer { curl_easy_cleanup(handle) }
        // Without `Expect` a long notice waits for no leave to be sent.
        var fields: UnsafeMutablePointer<curl_slist>?
        for field in ["Content-Type: application/xml", "Expect:"] {
            fields = curl_slist_append(fields, field)
        }
        defer { curl_slist_free_all(fields) }
        ccurl_set_text(handle, CURLOPT_URL, url)
        ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_text(handle, CURLOPT_PROXY, "")
        ccurl_set_text(handle, CURLOPT_USERAGENT, "han")
        ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
        ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, Int(timeLimit * 1_000)))
        ccurl_set_long(handle, CURLOPT_POST, 1)
        ccurl_set_list(handle, CURLOPT_HTTPHEADER, fields)
        ccurl_discard_answer(handle)
        let code = bytes.withUnsafeBytes { body in
            ccurl_set_body(handle, body.baseAddress, curl_off_t(body.count))
            return curl_easy_perform(handle)
        }
        guard code == CURLE_OK else {
            return .failed(String(cString: curl_easy_strerror(code)))
        }
        var status = 0
        ccurl_status(handle, &status)
        return .status(status)
    }
}
