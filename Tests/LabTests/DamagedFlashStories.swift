import Crypto
import Devices
import GBCS
import Lab
import Radio
import Testing
import Wire
import Zigbee

/// A record of a node's journal, as its doc comment has them.
struct FlashRecord {
    var key: UInt8
    /// Of its head in flash.
    var address: Int
    var bytes: [UInt8]

    static let headSize = 7

    static func word(_ bytes: [UInt8], at offset: Int = 0) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    /// Where the newest area begins, and how many there have been before it.
    static func newestArea(in flash: FlashView) -> (address: Int, generation: UInt32)? {
        let page = flash.geometry.pageSize
        return stride(from: 0, to: 64 * page, by: page)
            .filter { word(flash.read($0, count: 4)) == 0x4A4E_4148 }
            .map { ($0, word(flash.read($0 + 4, count: 4))) }
            .max { $0.1 < $1.1 }
    }

    /// Puts a record behind all others, as the journal would.
    static func append(_ key: UInt8, _ bytes: [UInt8], _ out: inout Outbox) {
        guard let last = all(in: out.flash).last else { return }
        var head = FrameBuffer()
        head.append(key)
        head.append(UInt16(bytes.count))
        head.append(CRC32.checksum(head.span, bytes.span))
        out.program((head.bytes + bytes).span, at: last.address + headSize + last.bytes.count)
    }

    /// All whole records of the newest area, in the order in which they were written.
    static func all(in flash: FlashView) -> [FlashRecord] {
        guard var address = newestArea(in: flash).map({ $0.address + 12 }) else { return [] }
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

    /// What befalls the newest area.
    enum Loss: CaseIterable {
        case header
        case page
    }

    @Test(
        "with its newest area's header gone, or a page, a device uses no frame counter twice",
        arguments: Loss.allCases)
    func lostArea(_ loss: Loss) throws {
        // Pages so large, and reservations so small, that one has very many of them.
        let esme = Homes.device(.esme) {
            $0.network.counterReserve = 16
            $0.flash.pageSize = 16_384
        }
        let live = LiveHome(
            Homes.home([esme]), images: [], [.join(devices: ["ESME"]), .wait(.hours(1))])
        live.run(untilEvent: .clockSet, of: 1)
        func area() throws -> (address: Int, generation: UInt32) {
            try #require(FlashRecord.newestArea(in: live.flash(of: 1)))
        }
        func networks() -> [FlashRecord] {
            FlashRecord.all(in: live.flash(of: 1)).filter { $0.key == Self.network }
        }
        for _ in 0..<5_000 {
            if try area().generation == 2, networks().count >= 60 { break }
            live.give(.order(.queryNextImage), to: 1)
            live.run(for: .seconds(2))
        }
        let newest = try area()
        let records = networks()
        try #require(newest.generation == 2 && records.count >= 60)
        // Behind format, addresses, keys and their numbers.
        let reserved = FlashRecord.word(records[records.count - 1].bytes, at: 53)
        switch loss {
        case .header: live.spoil(newest.address + 8, of: 1)
        case .page: live.erase(page: newest.address / 16_384, of: 1)
        }
        live.run(for: .seconds(1))
        live.restart(1)
        live.run(untilEvent: .networkResumed, of: 1)
        let resumed = try #require(live.events(.networkResumed).first { $0.node == 1 })
        #expect(resumed.values[2] >= UInt64(reserved))
        live.run(untilEvent: .clockSet, of: 1, count: 2)
        #expect(live.events(.flashDamaged).map { $0.node } == [1])
        let replayed = [DropReason.nwkReplayed, .apsReplayed].map { UInt64($0.rawValue) }
        #expect(!live.events(.dropped).contains { replayed.contains($0.values[0]) })
        var office = Office()
        live.send(message: office.read(), to: 1)
        live.run(for: .minutes(1))
        #expect(live.received.contains { $0.code == .readESMEFirmwareVersion })
        // Told once: the journal has moved on to where the flash is whole.
        live.restart(1)
        live.run(untilEvent: .clockSet, of: 1, count: 3)
        #expect(live.events(.flashDamaged).count == 1)
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
        if key == Self.network {
            // It has lost its keys too, and may join anew once it is put back.
            let esme = Homes.device(.esme)
            live.give(.order(.removeDevice(esme.eui64)), to: 0)
            live.give(.order(.addDevice(esme.eui64, linkKey: esme.installCode.linkKey)), to: 0)
        }
        live.run(for: .minutes(5))
        #expect(live.events(.flashDamaged).map { $0.values[0] } == [UInt64(key)])
        // One that lost its network is only back by its next start: before that the hub takes its
        // counters, which began again, for replays.
        live.restart(1)
        live.run(for: .minutes(5))
        // It has its image, perhaps anew, and runs it.
        live.give(.order(.queryNextImage), to: 1)
        live.run(for: .minutes(5))
        Self.activate(live)
        live.run(for: .minutes(5))
        // What runs is spoilt then, which is the next alert's cause.
        live.erase(page: 5, of: 1)
        live.run(for: .seconds(1))
        live.restart(1)
        live.run(for: .minutes(5))
        let after = Self.counters(live).dropFirst(before.count)
        #expect(!after.isEmpty)
        #expect(after.allSatisfy { $0 > before.max() ?? 0 })
        #expect(live.events(.outputLost).isEmpty)
    }

    /// Puts a record of three bytes behind the others, as the journal would.
    private static func write(_ key: UInt8, _ profile: DeviceProfile, _ out: inout Outbox) {
        let records = FlashRecord.all(in: out.flash)
        // The counters alone can still be read.
        var bytes: [UInt8] =
            key == state ? Array(records.last { $0.key == key }!.bytes.prefix(8)) : []
        bytes += [9, 9, 9]
        FlashRecord.append(key, bytes, &out)
    }
}

extension LiveHome {
    /// Has the hub's flash hold another device log, which its own machine does not know of before
    /// it restarts: each entry of 26 bytes as `change` leaves it.
    func rewriteDeviceLog(_ change: (inout [UInt8]) -> Void) throws {
        let log = try #require(FlashRecord.all(in: flash(of: 0)).last { $0.key == 3 }).bytes
        let entries = stride(from: 0, to: log.count, by: 26).map { first in
            var entry = Array(log[first..<first + 26])
            change(&entry)
            return entry
        }
        act(for: 0) { _, _, out in FlashRecord.append(3, entries.flatMap { $0 }, &out) }
        run(for: .milliseconds(100))
    }
}
