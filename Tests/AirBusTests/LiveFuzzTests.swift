import AirBus
import CZeroMQ
import Radio
import Testing
import Wire

/// A hundred thousand hostile messages to one live air: examples and random messages, whole, cut
/// and changed, and noise.
@Suite("Fuzzing a live air")
struct LiveFuzzTests {
    private struct Noise {
        var samples: Samples
        private let examples = Catalogue.examples.sorted { $0.key < $1.key }.map {
            Catalogue.message(around: $0.value, $0.key)
        }

        init(seed: UInt64) { samples = Samples(seed: seed) }

        mutating func message() -> [UInt8] {
            var bytes: [UInt8]
            switch samples.below(8) {
            case 0: return samples.bytes(samples.below(300))
            case 1, 2: bytes = samples.message()
            default: bytes = examples[samples.below(examples.count)]
            }
            // The end of the run is the bench's to ask for, and it has a socket of its own.
            for _ in 0..<samples.below(4) where !bytes.isEmpty {
                bytes[samples.below(min(bytes.count, 48))] = UInt8(samples.below(256))
            }
            if samples.below(8) == 0 { bytes = Array(bytes.prefix(samples.below(bytes.count + 1))) }
            if samples.below(8) == 0 { bytes += samples.bytes(samples.below(20)) }
            return bytes
        }
    }

    @Test("after 100,000 hostile messages the others' run is what it is without them")
    func flood() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        var noise = Noise(seed: 11)
        var sent = 0
        // Strangers, each until long after it was put off.
        for number in 0..<160 {
            let stranger = RawPeer(
                air.endpoints.node, name: number % 4 == 0 ? "stranger-\(number)" : nil)
            for _ in 0..<500 {
                var bytes = noise.message()
                // Not X's place: that is for the next part.
                if bytes.first == MessageKind.hello.rawValue, bytes.count > 1 { bytes[1] ^= 1 }
                if noise.samples.below(50) == 0 { stranger.send(bytes, bytes) }
                stranger.send(bytes)
                sent += 1
            }
            // All that it sent has been read when its end has been noticed.
            #expect(stranger.dismissal() != nil)
        }
        // Members: each takes X's place when that is free, and is put off or leaves.
        var places = 0
        while sent < 100_000 {
            let member = RawPeer(air.endpoints.node)
            member.hello("X")
            guard let first = member.next() else {
                Issue.record("the air does not answer any more")
                return
            }
            guard case .welcome = first else { continue }
            places += 1
            let turn = try #require(member.turn())
            // Much of it is an answer to a turn, with actions that may be anything.
            for _ in 0..<40 {
                var bytes = noise.message()
                if bytes.count > 17, bytes[0] == MessageKind.answer.rawValue {
                    let number = turn.number &+ UInt32(noise.samples.below(4))
                    for index in 0..<4 { bytes[2 + index] = UInt8(number >> (8 * index) & 0xFF) }
                }
                member.send(bytes)
                sent += 1
            }
            // It is put off by then, or leaves; whoever wants its place next sees when.
            member.send { $0.leave() }
            member.set(ZMQ_LINGER, 20_000)
        }
        #expect(places > 100)
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(air.tape.lost.allSatisfy { $0.node == 2 })
        #expect(air.service.strangersKnown <= 256)
    }

    @Test("a flood of requests and subscriptions leaves the run as it is")
    func otherSockets() throws {
        let air = try LiveAir()
        var noise = Noise(seed: 12)
        let client = RawPeer(air.endpoints.control)
        let request = RawPeer(air.endpoints.control, kind: ZMQ_REQ)
        let sniffer = RawPeer(air.endpoints.sniffer, kind: ZMQ_SUB)
        air.join()
        for round in 0..<20_000 {
            var bytes = noise.message()
            if bytes.first.map({ (0x20...0x27).contains($0) }) == true { bytes[0] ^= 0x40 }
            client.send(bytes)
            if round % 100 == 0 { client.send(bytes, bytes) }
            if round % 10 == 0 { sniffer.subscribe(Array(bytes.prefix(64))) }
        }
        client.send([UInt8](repeating: 0, count: 200_000))
        var codes: Set<AirErrorCode> = []
        while !codes.contains(.oversize), let bytes = client.receive() {
            // An empty part is what it sent before a message, as REQ would.
            guard !bytes.isEmpty, case .error(let notice) = try ControlAnswer(bytes) else {
                continue
            }
            codes.insert(notice.code)
        }
        #expect(codes == [.malformed, .oversize])
        // REQ gets its empty part back, or it would not take the answer.
        request.send(Catalogue.build { $0.request(ControlRequest(number: 5, .status)) })
        guard case .status(let status, request: 5) = try ControlAnswer(request.receive() ?? [])
        else {
            Issue.record("no status")
            return
        }
        #expect(status.members.count == 4 && status.state == .running)
        #expect(air.finish() == LiveAir.undisturbed)
    }
}
