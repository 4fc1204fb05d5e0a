import AirBus
import Radio
import Testing
import Wire

@Suite("Hostile messages")
struct HostileTests {
    private func error(of bytes: [UInt8]) -> WireError? {
        do throws(WireError) {
            _ = try recode(bytes)
            return nil
        } catch {
            return error
        }
    }

    /// Replaces bytes of an example.
    private func changed(_ name: String, _ changes: [Int: UInt8]) throws -> [UInt8] {
        let example = try #require(Catalogue.examples[name])
        var bytes = Catalogue.message(around: example, name)
        for (index, byte) in changes { bytes[index] = byte }
        return bytes
    }

    @Test("every truncation of every message is an error that says where the bytes ended")
    func truncations() throws {
        for (name, example) in Catalogue.examples {
            let bytes = Catalogue.message(around: example, name)
            for count in 0..<bytes.count {
                let found = try #require(error(of: Array(bytes.prefix(count))), "\(name) \(count)")
                #expect(found.offset <= count, "\(name)")
            }
        }
        var samples = Samples(seed: 4)
        for _ in 0..<300 {
            let bytes = samples.message()
            for _ in 0..<20 {
                #expect(error(of: Array(bytes.prefix(samples.below(bytes.count)))) != nil)
            }
        }
    }

    @Test("a byte too many is an error")
    func trailing() {
        for (name, example) in Catalogue.examples {
            let bytes = Catalogue.message(around: example, name)
            #expect(error(of: bytes + [0])?.problem == .trailing, "\(name)")
        }
    }

    @Test("changed bytes are a message or an error, and what was read is written as it was read")
    func mutations() throws {
        var samples = Samples(seed: 5)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = samples.message()
            for _ in 0...samples.below(4) {
                bytes[samples.below(min(bytes.count, 64))] = UInt8(samples.below(256))
            }
            guard let again = try? recode(bytes) else { continue }
            accepted += 1
            // Another version's hello is not read to its end.
            if bytes[0] == MessageKind.hello.rawValue, bytes[4...5] != [1, 0] { continue }
            #expect(again == bytes)
        }
        #expect(accepted > 1000)
    }

    @Test("no kind that is not known is taken, nor one of the other direction")
    func kinds() {
        for raw in UInt8.min...UInt8.max {
            let bytes = [raw] + [UInt8](repeating: 0, count: 40)
            if MessageKind(rawValue: raw) == nil { #expect(error(of: bytes) != nil) }
            if raw != 3, raw != 4, raw != 2 {
                #expect((try? FromNode([raw])) == nil)
            }
            if raw != 0x85, raw != 0x82 { #expect((try? FromAir([raw])) == nil) }
            #expect((try? FeedMessage([raw])) == nil)
            #expect((try? ControlAnswer([raw])) == nil)
            #expect((try? ControlRequest([raw])) == nil)
        }
        #expect(error(of: []) != nil)
        let emptyKind = AirProtocol.kind(of: [UInt8]().span)
        #expect(emptyKind == nil)
    }

    @Test("a tag that is not known is an error at its place")
    func tags() throws {
        for (name, first) in [("input-tick", 22), ("action-end-run", 18)] {
            let last = name == "input-tick" ? 7 : 15
            for tag in UInt8(last + 1)...255 {
                let bytes = try changed(name, [first: tag])
                #expect(error(of: bytes)?.offset == first, "\(name) \(tag)")
                #expect(error(of: bytes)?.problem == .invalid)
            }
        }
        for (name, first) in [("wan-end-image", 8), ("order-cancel-download", 9)] {
            for tag in UInt8(first)...255 {
                #expect(error(of: try changed(name, [23: tag]))?.offset == 23, "\(name) \(tag)")
            }
        }
    }

    @Test(
        "what has no meaning is an error at its place",
        arguments: [
            ("hello", 1, 0x49), ("hello", 6, 1), ("answer", 1, 1), ("turn", 1, 0x80),
            ("turn", 13, 0x80), ("answer", 13, 0x80), ("answer", 17, 2), ("welcome", 1, 2),
            ("welcome", 3, 8), ("welcome", 9, 9), ("error", 1, 2), ("error", 6, 0),
            ("error", 6, 13), ("ended", 1, 3), ("ended", 9, 0x80), ("frame", 27, 10),
            ("frame", 28, 2), ("frame", 28, 0), ("frame", 31, 128), ("event", 11, 0xFF),
            ("event", 13, 7), ("status", 5, 3), ("status", 6, 1), ("status", 35, 5),
            ("power-request", 7, 2), ("link-request", 12, 0xFF), ("inject-request", 5, 27),
            ("inject-request", 6, 126), ("action-configure", 19, 27),
            ("action-configure", 32, 4), ("action-receiver", 19, 2),
            ("action-pending-short", 20, 1),
            ("action-transmit", 20, 2), ("action-transmit", 21, 128),
            ("action-measure-energy", 19, 1),
            ("action-measure-energy", 27, 0x80), ("action-measure-energy", 24, 1),
            ("action-link", 26, 0xFF), ("action-event", 19, 0xFF), ("action-restart", 26, 0x80),
            ("action-restart", 26, 0x7F), ("input-power-on", 30, 0x80), ("input-power-on", 30, 1),
            ("input-received", 33, 126), ("input-transmitted", 24, 4),
            ("input-transmitted", 25, 2), ("input-energy", 23, 10), ("input-observed", 30, 0x80),
            ("input-observed", 33, 0xFF), ("wan-image-refused", 28, 0xFF),
            ("order-permit-joining", 31, 0x80),
        ])
    func values(name: String, offset: Int, byte: Int) throws {
        let bytes = try changed(name, [offset: UInt8(byte)])
        let found = try #require(error(of: bytes), "\(Hex.string(bytes))")
        #expect(found.problem != .trailing)
        #expect(abs(found.offset - offset) < 8, "\(found)")
    }

    @Test("an event's value that could be left out is an error")
    func needlessZero() throws {
        let bytes = try #require(Catalogue.examples["event"])
        var longer = bytes + [UInt8](repeating: 0, count: 8)
        longer[13] = 5
        #expect(error(of: longer)?.field.description == "event value")
    }

    @Test("a count is held against the bytes that are there before anything is made of it")
    func counts() throws {
        for (name, offset) in [("wan-begin-image", 32), ("answer", 16)] {
            var bytes = try changed(name, [:])
            bytes[offset] = 64
            #expect(error(of: bytes)?.problem == .truncated, "\(name)")
            bytes[offset + 1] = 0xFF
            #expect(error(of: bytes)?.problem == .invalid, "\(name)")
        }
        var status = try #require(Catalogue.examples["status"])
        (status[31], status[32]) = (0xFF, 0xFF)
        #expect(error(of: status)?.problem == .truncated)
    }

    @Test("after an error in its last action nothing of an answer is left")
    func nothingLeft() {
        var out = Outbox()
        var bytes = Catalogue.answer { out in
            for _ in 0..<5 { out.append(.receiver(on: true)) }
            out.send(.queryNextImage, to: 1)
        }
        bytes[bytes.count - 1] = 99
        #expect(throws: WireError.self) {
            try AirProtocol.decodeAnswer(bytes.span, into: &out, node: 1, now: .zero)
        }
        #expect(out.actions.isEmpty && out.orders.isEmpty && out.messages.isEmpty && out.lost == 0)
    }

    @Test("a hello of another version is told by its first bytes, whatever follows")
    func otherVersion() throws {
        let bytes: [UInt8] = [0x01, 0x48, 0x41, 0x4E, 0x02, 0x00, 0xFF, 0xFF]
        guard case .hello(let hello) = try FromNode(bytes) else { return }
        #expect(hello.version == 2)
        #expect((try? FromNode(Array(bytes.prefix(5)))) == nil)
    }

    @Test("a hello must say whose place it wants")
    func nameless() {
        let bytes = Catalogue.build { $0.hello(Hello(processID: 1, eui64: nil, name: "")) }
        #expect(error(of: bytes)?.field.description == "name")
    }

    @Test("text that is no UTF-8, or would move a cursor, is an error")
    func text() throws {
        for byte in [0x1B, 0x0A, 0x7F, 0xFF, 0xC3] as [UInt8] {
            #expect(error(of: try changed("ended", [20: byte])) != nil)
            #expect(error(of: try changed("hello", [20: byte])) != nil)
        }
    }
}
