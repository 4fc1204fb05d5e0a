import Crypto
import Devices
import GBCS
import Lab
import Radio
import Testing
import Wire
import Zigbee

/// A record of a node's journal, as its doc comment has them.
private struct FlashRecord {
    var key: UInt8
    /// Of its head in flash.
    var address: Int
    var bytes: [UInt8]

    static let headSize = 7

    /// All whole records of the newest area, in the order in which they were written.
    static func all(in flash: FlashView) -> [FlashRecord] {
        let page = flash.geometry.pageSize
        func word(_ address: Int) -> UInt32 {
            let bytes = flash.read(address, count: 4)
            return (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) }
        }
        let areas = stride(from: 0, to: 64 * page, by: page).filter { word($0) == 0x4A4E_4148 }
        guard var address = areas.max(by: { word($0 + 4) < word($1 + 4) }).map({ $0 + 12 }) else {
            return []
        }
        var records: [FlashRecord] = []
        while true {
            let head = flash.read(address, count: headSize)
            let length = Int(head[1]) | Int(head[2]) << 8
            guard head[0] != 0xFF else { return records }
            records.append(
                FlashRecord(
                    key: head[0], address: address,
                    bytes: flash.read(address + headSize, count: length)))
            address += headSize + length
        }
    }
}

@Suite("Damaged flash")
struct DamagedFlashStories {
    private static let state: UInt8 = 5
    private static let network: UInt8 = 2

    /// An ESME that has told something of itself, and has joined.
    private static func home() throws -> LiveHome {
        let esme = Homes.device(.esme)
        let live = LiveHome(
            Homes.home([esme]), images: [Homes.image(for: esme)],
            [
                .join(devices: ["ESME"]), .wait(.minutes(1)),
                .deliver(image: "ESME", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
            ])
        live.run(untilEvent: .messageSent, of: 1)
        live.run(for: .minutes(1))
        return live
    }

    private static func spoilNewest(_ key: UInt8, _ live: LiveHome) throws {
        let record = try #require(
            FlashRecord.all(in: live.flash(of: 1)).last { $0.key == key })
        // A byte in it that is not zero already.
        let offset = try #require(record.bytes.firstIndex { $0 != 0 })
        live.spoil(record.address + FlashRecord.headSize + offset, of: 1)
        live.run(for: .seconds(1))
    }

    private static func counters(_ live: LiveHome) -> [UInt64] {
        live.events(.messageSent).filter { $0.node == 1 && $0.values[1] == 3 }
            .map { $0.values[4] }
    }

    /// Has the ESME report something new: that its image in flash was spoilt.
    private static func activate(_ live: LiveHome) {
        var office = Office()
        live.send(message: office.activate(Homes.image(for: Homes.device(.esme)).hash), to: 1)
    }

    @Test(
        "with its newest record of counters spoilt, a device uses none of them twice, and says so")
    func counters() throws {
        let live = try Self.home()
        let before = Self.counters(live)
        #expect(!before.isEmpty)
        try Self.spoilNewest(Self.state, live)
        live.restart(1)
        live.run(untilEvent: .clockSet, of: 1, count: 2)
        let told = live.events(.flashDamaged)
        #expect(told.map { $0.node } == [1] && told.map { $0.values[0] } == [0])
        // It works as before, and what it says next has a counter that it never used.
        Self.activate(live)
        live.run(untilEvent: .activated, of: 1)
        live.run(untilEvent: .clockSet, of: 1, count: 3)
        // A spoilt image in flash, behind the two areas of the journal, is the next alert's cause.
        live.erase(page: 5, of: 1)
        live.run(for: .seconds(1))
        live.restart(1)
        live.run(untilEvent: .clockSet, of: 1, count: 4)
        live.run(for: .minutes(1))
        let all = Self.counters(live)
        #expect(all.count > before.count)
        #expect(all == all.sorted() && Set(all).count == all.count)
        // Told once: the journal has moved on to where the flash is whole.
        #expect(live.events(.flashDamaged).count == 1)
        #expect(live.events(.outputLost).isEmpty)
    }

    @Test("with its newest record of the network spoilt, its frame counters do not go back either")
    func network() throws {
        let live = try Self.home()
        try Self.spoilNewest(Self.network, live)
        live.restart(1)
        live.run(untilEvent: .clockSet, of: 1, count: 2)
        live.run(for: .minutes(1))
        #expect(live.events(.flashDamaged).map { $0.node } == [1])
        #expect(live.events(.joined).filter { $0.node == 1 }.count == 1)
        let replayed = [DropReason.nwkReplayed, .apsReplayed].map { UInt64($0.rawValue) }
        #expect(!live.events(.dropped).contains { replayed.contains($0.values[0]) })
        var office = Office()
        live.send(message: office.read(), to: 1)
        live.run(for: .minutes(1))
        #expect(live.received.contains { $0.code == .readESMEFirmwareVersion })
    }

    @Test(
        "a record that is whole and makes no sense is told of, and the device starts without it",
        arguments: [1, 2, 5, 6, 7] as [UInt8])
    func senseless(key: UInt8) throws {
        let live = try Self.home()
        let before = Self.counters(live)
        live.act(for: 1) { member, _, out in
            guard let profile = member.device?.profile else { return }
            Self.write(key, profile, &out)
        }
        live.run(for: .seconds(1))
        live.restart(1)
        live.run(untilEvent: .booted, of: 1, count: 2)
        live.run(for: .minutes(5))
        #expect(live.events(.flashDamaged).map { $0.values[0] } == [UInt64(key)])
        let after = Self.counters(live).dropFirst(before.count)
        #expect(after.allSatisfy { $0 > before.max() ?? 0 })
        #expect(live.events(.outputLost).isEmpty)
    }

    /// Puts a record of three bytes behind the others, as the journal would.
    private static func write(_ key: UInt8, _ profile: DeviceProfile, _ out: inout Outbox) {
        let records = FlashRecord.all(in: out.flash)
        guard let last = records.last else { return }
        // The counters alone can still be read.
        var bytes: [UInt8] =
            key == state ? Array(records.last { $0.key == key }!.bytes.prefix(8)) : []
        bytes += [9, 9, 9]
        var head = FrameBuffer()
        head.append(key)
        head.append(UInt16(bytes.count))
        head.append(CRC32.checksum(head.span, bytes.span))
        out.program(
            (head.bytes + bytes).span,
            at: last.address + FlashRecord.headSize + last.bytes.count)
    }
}
