import Testing
import Wire
import Zigbee

/// A client in a test's hands: what it sends is read back and counted.
struct ClientBench {
    static let server = EUI64(0xAA01)
    static let current = ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 1)
    static let image = ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 2)

    var client: OTAClient
    var now = Instant.zero
    var steps: [OTAClient.Step] = []

    init(_ change: (inout OTAClientSettings) -> Void = { _ in }, seed: UInt64 = 1) {
        var settings = OTAClientSettings()
        settings.activationByOrderOnly = false
        change(&settings)
        client = OTAClient(
            settings: settings, eui64: EUI64(7), current: Self.current, hardwareVersion: 0x0102,
            seed: Seed(seed))
    }

    /// Lets everything due at `now` happen; returns the commands sent.
    @discardableResult
    mutating func settle() -> [UInt8] {
        var sent: [UInt8] = []
        for _ in 0..<20 {
            let step = client.step(at: now)
            if case .none = step { return sent }
            if case .send(let command, _) = step { sent.append(command) }
            steps.append(step)
        }
        Issue.record("the client never comes to rest")
        return sent
    }

    /// Moves to the next deadline, if it comes before `limit`, and settles.
    @discardableResult
    mutating func wait(_ limit: Interval = .hours(48)) -> [UInt8] {
        guard client.nextDeadline <= now + limit else {
            now = now + limit
            return settle()
        }
        now = max(now, client.nextDeadline)
        let sent = settle()
        #expect(client.nextDeadline > now, "a deadline that stays in the past")
        return sent
    }

    var lastPayload: FrameBuffer? {
        for step in steps.reversed() {
            if case .send(_, let payload) = step { return payload }
        }
        return nil
    }

    func lastRequest() throws -> ImageBlockRequest {
        let payload = try #require(lastPayload)
        var reader = ByteReader(payload.span)
        return try ImageBlockRequest(parsing: &reader)
    }

    /// Binds, queries and accepts an image of `size` bytes.
    mutating func begin(size: UInt32 = 200) {
        client.bind(to: Self.server, at: now, after: .seconds(1))
        #expect(wait() == [OTACommandID.queryNextImageRequest])
        #expect(
            client.queryNextImageResponse(
                QueryNextImageResponse(offering: Self.image, size: size), at: now) == .accepted)
        #expect(settle() == [OTACommandID.imageBlockRequest])
    }

    mutating func block(_ count: UInt8? = nil) -> OTAClient.Verdict {
        let left = client.size - client.offset
        let size = count ?? UInt8(min(left, UInt32(client.settings.blockSize)))
        return client.imageBlockResponse(
            .block(Self.image, offset: client.offset, count: size), at: now)
    }

    /// Fetches everything that is left and passes the check.
    mutating func finish(_ verdict: ZCLStatus = .success) {
        while client.isDownloading {
            if case .store = block() {} else { Issue.record("block refused") }
            settle()
        }
        client.finishedChecking(verdict, at: now)
    }
}

extension Instant {
    static func - (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds - b.microseconds)
    }
}
