import Crypto
import Devices
import Testing
import Wire
import Zigbee

/// A snapshot of a stack, laid out by hand (`ZigbeeStack.snapshot`).
private struct Snapshot {
    struct Key: Equatable {
        var partner: UInt64
        var key: UInt64
        var reserved: UInt32
        var kind: UInt8 = 0
    }

    var neighbours = 0
    var keys: [Key] = []
    var retired: [Key] = []
    var others = 0
    var forgotten: UInt32 = 0

    var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.put(4, 1)
        for _ in 0..<64 { builder.put(1, 1) }
        builder.put(UInt64(neighbours), 1)
        for index in 0..<neighbours {
            builder.put(0x2000 + UInt64(index), 8)
            builder.put(0x100 + UInt64(index), 2)
            // A child that has used ten counters.
            builder.put(1, 1)
            builder.put(0x80, 1)
            builder.put(255, 1)
            builder.put(1, 1)
            builder.put(10, 4)
        }
        put(keys, into: &builder)
        builder.put(UInt64(others), 1)
        for index in 0..<others {
            builder.put(0x200 + UInt64(index), 2)
            builder.put(0x3000 + UInt64(index), 8)
            builder.put(0, 1)
        }
        builder.put(UInt64(others), 1)
        for index in 0..<others {
            builder.put(0x200 + UInt64(index), 2)
            builder.put(0x100, 2)
        }
        builder.put(UInt64(others), 1)
        for index in 0..<others {
            builder.put(0x3000 + UInt64(index), 8)
            builder.put(0x2000, 8)
        }
        if !retired.isEmpty || forgotten > 0 { put(retired, into: &builder) }
        if forgotten > 0 { builder.put(UInt64(forgotten), 4) }
        return builder.bytes
    }

    private func put(_ keys: [Key], into builder: inout ByteBuilder) {
        builder.put(UInt64(keys.count), 1)
        for key in keys {
            builder.put(key.partner, 8)
            builder.put(Key128(high: 0, low: key.key))
            builder.put(UInt64(key.reserved), 4)
            builder.put(0, 4)
            builder.put(UInt64(key.kind), 1)
        }
    }

    /// A stack that has these keys and no network.
    func stack() throws -> ZigbeeStack {
        var stack = ZigbeeStack(
            configuration: StackConfiguration(
                role: .coordinator, eui64: EUI64(0x1000), receiverOnWhenIdle: true,
                isMainsPowered: true, manufacturer: 0xFFF3, endpoints: [], channels: [11]),
            crypto: CryptoEngine(), seed: Seed(1))
        try stack.restore(bytes)
        return stack
    }

    /// The keys of a stack without neighbours, and the counters that they go on with.
    static func keys(of stack: ZigbeeStack) throws -> (used: [Key], retired: [Key]) {
        var builder = ByteBuilder()
        stack.snapshot(into: &builder)
        var reader = ByteReader(builder.bytes.span)
        _ = try reader.bytes(66, "network")
        let used = try keys(&reader)
        _ = try reader.bytes(3, "addresses, routes and parents")
        return (used, reader.remaining > 0 ? try keys(&reader) : [])
    }

    private static func keys(_ reader: inout ByteReader) throws -> [Key] {
        var keys: [Key] = []
        for _ in 0..<(try reader.u8("count")) {
            let partner = try reader.u64("partner")
            let key = try reader.key("key").low
            let reserved = try reader.u32("reserved")
            _ = try reader.u32("last counter")
            keys.append(
                Key(partner: partner, key: key, reserved: reserved, kind: try reader.u8("kind")))
        }
        return keys
    }
}

@Suite("Link keys that are kept")
struct LinkKeyTests {
    private static let device = EUI64(0x77)
    private static let code = Key128(high: 0, low: 1)
    private static let established = Key128(high: 0, low: 2)

    @Test("a network with 64 of everything and all the keys there may be fits in a record")
    func worstCase() throws {
        var worst = Snapshot()
        worst.neighbours = 64
        worst.others = 64
        worst.keys = (0..<64).map { .init(partner: $0, key: $0, reserved: 9, kind: 1) }
        // More than are kept.
        worst.retired = (0..<255).map { .init(partner: $0, key: 1_000 + $0, reserved: 9) }
        var builder = ByteBuilder()
        try worst.stack().snapshot(into: &builder)
        #expect(builder.bytes.count == 7_963)
        #expect(builder.bytes.count <= Journal.recordLimit)
        var again = try worst.stack()
        try again.restore(builder.bytes)
    }

    @Test("the install code's key goes on with its counter whenever it comes back into use")
    func counters() throws {
        let one = Snapshot.Key(partner: 0x77, key: 1, reserved: 1_000)
        var stack = try Snapshot(keys: [one]).stack()
        stack.establishLinkKey(Self.established, partner: Self.device)
        #expect(stack.establishedKey(with: Self.device) == Self.established)
        // Of one that has no certificate any more.
        stack.setLinkKey(Self.code, partner: Self.device, replacingEstablished: true)
        #expect(stack.establishedKey(with: Self.device) == nil)
        #expect(try Snapshot.keys(of: stack).used == [one])
        // It is back, and so is its key; it may join under either.
        stack.setLinkKey(Self.code, partner: Self.device)
        #expect(stack.establishedKey(with: Self.device) == Self.established)
        let keys = try Snapshot.keys(of: stack)
        #expect(keys.used.map(\.kind) == [2])
        #expect(keys.retired == [one])
        // Struck off and put back.
        stack.retireLinkKey(of: Self.device)
        #expect(stack.partners.isEmpty)
        stack.setLinkKey(Self.code, partner: Self.device)
        #expect(try Snapshot.keys(of: stack).retired == [one])
        // A key that is established anew has no other beside it.
        stack.establishLinkKey(Key128(high: 0, low: 3), partner: Self.device)
        #expect(try Snapshot.keys(of: stack).used.map(\.kind) == [1])
        #expect(try Snapshot.keys(of: stack).retired == [one])
    }

    @Test("a key of which nothing is known any more begins above every counter it may have used")
    func forgotten() throws {
        var stack = try Snapshot(keys: [.init(partner: 0x77, key: 1, reserved: 1_000)]).stack()
        stack.retireLinkKey(of: Self.device)
        stack.setLinkKey(Key128(high: 0, low: 9), partner: Self.device)
        #expect(try Snapshot.keys(of: stack).used.map(\.reserved) == [0])
        // Another install code's key takes its place among those that are put away.
        stack.retireLinkKey(of: Self.device)
        var builder = ByteBuilder()
        stack.snapshot(into: &builder)
        try stack.restore(builder.bytes)
        stack.setLinkKey(Self.code, partner: Self.device)
        #expect(try Snapshot.keys(of: stack).used.map(\.reserved) == [1_000])
    }
}
