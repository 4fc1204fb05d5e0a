import Radio
import Wire

/// Writes frames as a pcapng capture of link type 283 (IEEE 802.15.4 TAP).
///
/// The bytes depend on the frames, the drops, the roster's names and the start date, on nothing
/// else: there is no machine, version or wall clock in them.
///
/// A packet is the TAP header (version 0, a zero byte, its length in bytes as u16, then TLVs
/// padded to four bytes: FCS type, RSS in dBm and LQI where known, channel and page, start and
/// end of the frame in nanoseconds of virtual time) and the PSDU with its FCS. It is stamped with
/// the UTC time at which the frame ended, because that is when a sniffer knows it. Frames on
/// which a node gave up carry a comment that says who and why.
///
/// Everything is little-endian.
package struct PcapngWriter {
    /// How far virtual time moves on after a frame's end before the frame is written: a node may
    /// take a moment to find out that it has no use for it.
    package static let patience = Interval.milliseconds(1)
    /// Frames held back at most; the oldest is written when another one comes.
    package static let capacity = 64
    /// Nodes that a frame's comments name at most; the rest are counted.
    package static let namedDrops = 16

    /// Drops that came after their frame was written, so that no comment tells of them.
    package private(set) var lateDrops: UInt64 = 0

    private let file: OutputFile
    /// The scenario's start in microseconds since 1970.
    private let epoch: Int64
    /// By roster index: `dropped by NAME: `.
    private let droppers: [[UInt8]]
    /// By raw `DropReason`: its words and its name; empty for values that are no reason.
    private let reasons: [[UInt8]]
    private var held: [FrameRecord] = []
    /// Where in `held` the oldest frame is, once the array is full and used as a ring.
    private var first = 0
    private var count = 0
    private var drops: [Drop] = []

    private struct Drop {
        var frame: UInt64
        var node: UInt16
        /// The raw `DropReason`, or nil in the entry that counts those beyond `namedDrops`.
        var reason: UInt64?
        var times: Int
    }

    /// Starts the capture: section header and interface description.
    package init(to file: OutputFile, start: UTCTime, roster: Roster) {
        self.file = file
        epoch = Int64(start.secondsSince2000) * 1_000_000 + Self.microseconds1970To2000
        droppers = roster.members.map { Self.dropper($0.name) }
        reasons = (UInt8.min...UInt8.max).map { raw in
            DropReason(rawValue: raw).map { Array("\($0.words) (\($0.name))".utf8) } ?? []
        }
        held.reserveCapacity(Self.capacity)
        drops.reserveCapacity(Self.capacity)
        writeSectionHeader()
        writeInterfaceDescription()
    }

    /// Takes a frame; it is written once time has moved on.
    package mutating func add(_ frame: borrowing FrameRecord) {
        advance(to: frame.end)
        if count == Self.capacity { writeOldest() }
        let slot = (first + count) % Self.capacity
        if slot == held.count { held.append(copy frame) } else { held[slot] = copy frame }
        count += 1
    }

    /// Takes note that `node` dropped frame `number`.
    package mutating func drop(frame number: UInt64, by node: UInt16, reason: UInt64) {
        guard isHeld(number) else {
            lateDrops += 1
            return
        }
        var named = 0
        for index in drops.indices where drops[index].frame == number {
            named += 1
            if drops[index].reason == nil {
                drops[index].times += 1
                return
            }
        }
        let reason = named < Self.namedDrops ? reason : nil
        drops.append(Drop(frame: number, node: node, reason: reason, times: 1))
    }

    /// Writes the frames that ended more than `patience` before `now`.
    package mutating func advance(to now: Instant) {
        while count > 0, held[first].end + Self.patience < now { writeOldest() }
    }

    /// Writes every frame still held.
    package mutating func finish() {
        while count > 0 { writeOldest() }
    }

    private func isHeld(_ number: UInt64) -> Bool {
        for offset in stride(from: count - 1, through: 0, by: -1)
        where held[(first + offset) % Self.capacity].number == number {
            return true
        }
        return false
    }

    // MARK: Blocks

    private static let microseconds1970To2000: Int64 = 946_684_800 * 1_000_000
    private static let linkType: UInt16 = 283

    private func writeSectionHeader() {
        let application = Array("han".utf8)
        let length = 28 + optionLength(application.count) + 4
        file.put(UInt32(0x0A0D_0D0A))
        file.put(UInt32(length))
        file.put(UInt32(0x1A2B_3C4D))
        file.put(UInt16(1))
        file.put(UInt16(0))
        // Section length: not given.
        file.put(UInt64.max)
        putOption(4, application)
        file.put(UInt32(0))
        file.put(UInt32(length))
    }

    private func writeInterfaceDescription() {
        let name = Array("han".utf8)
        let description = Array("virtual IEEE 802.15.4 air: every frame as it was sent".utf8)
        let length = 20 + optionLength(name.count) + optionLength(description.count) + 8 + 4
        file.put(UInt32(1))
        file.put(UInt32(length))
        file.put(Self.linkType)
        file.put(UInt16(0))
        // No limit to a packet's length.
        file.put(UInt32(0))
        putOption(2, name)
        putOption(3, description)
        // if_tsresol: 10^-6 s.
        putOption(9, [6])
        file.put(UInt32(0))
        file.put(UInt32(length))
    }

    private mutating func writeOldest() {
        writePacket(held[first])
        if !drops.isEmpty {
            let number = held[first].number
            drops.removeAll { $0.frame == number }
        }
        first = (first + 1) % Self.capacity
        count -= 1
    }

    private func writePacket(_ frame: borrowing FrameRecord) {
        var tap = 4 + 8 + 8 + 12 + 12
        if frame.rssi != nil { tap += 8 }
        if frame.lqi != nil { tap += 8 }
        let packet = tap + frame.psdu.count
        let comments = commentLength(of: frame.number)
        let length = 32 + padded(packet) + comments

        file.put(UInt32(6))
        file.put(UInt32(length))
        file.put(UInt32(0))
        let stamp = UInt64(bitPattern: epoch &+ frame.end.microseconds)
        file.put(UInt32(truncatingIfNeeded: stamp >> 32))
        file.put(UInt32(truncatingIfNeeded: stamp))
        file.put(UInt32(packet))
        file.put(UInt32(packet))

        file.put(UInt16(0))
        file.put(UInt16(tap))
        // A 16-bit CRC.
        putTLV(0, length: 1, UInt32(1))
        if let rssi = frame.rssi { putTLV(1, length: 4, Float(rssi).bitPattern) }
        // Channel u16, then page u8: 0.
        putTLV(3, length: 3, UInt32(frame.channel))
        putTLV(5, length: 8, nanoseconds(frame.start))
        putTLV(6, length: 8, nanoseconds(frame.end))
        if let lqi = frame.lqi { putTLV(10, length: 1, UInt32(lqi)) }

        file.put(frame.psdu.span)
        pad(packet)
        if comments > 0 { putComments(of: frame.number) }
        file.put(UInt32(length))
    }

    private func nanoseconds(_ time: Instant) -> UInt64 {
        UInt64(bitPattern: time.microseconds &* 1_000)
    }

    /// A TAP TLV whose value, with its padding, is as long as `Value`.
    private func putTLV<Value: FixedWidthInteger>(_ type: UInt16, length: UInt16, _ value: Value) {
        file.put(type)
        file.put(length)
        file.put(value)
    }

    // MARK: Comments

    /// The bytes that the frame's comments and the end of options take; 0 without comments.
    private func commentLength(of frame: UInt64) -> Int {
        var length = 0
        for drop in drops where drop.frame == frame {
            let (who, why) = comment(on: drop)
            length += optionLength(who.count + why.count)
        }
        return length == 0 ? 0 : length + 4
    }

    private func putComments(of frame: UInt64) {
        for drop in drops where drop.frame == frame {
            let (who, why) = comment(on: drop)
            file.put(UInt16(1))
            file.put(UInt16(who.count + why.count))
            file.put(who)
            file.put(why)
            pad(who.count + why.count)
        }
        file.put(UInt32(0))
    }

    private func comment(on drop: Drop) -> (who: [UInt8], why: [UInt8]) {
        guard let reason = drop.reason else {
            return (Array("dropped \(drop.times) more times".utf8), [])
        }
        let node = Int(drop.node)
        let who = node < droppers.count ? droppers[node] : Self.dropper("node \(node)")
        guard reason < UInt64(reasons.count), !reasons[Int(reason)].isEmpty else {
            return (who, Array("reason \(reason)".utf8))
        }
        return (who, reasons[Int(reason)])
    }

    private static func dropper(_ name: String) -> [UInt8] {
        // An option's length has 16 bits; a name this long is a mistake in a home file anyway.
        let shown = String(decoding: name.utf8.prefix(255), as: UTF8.self)
        return Array("dropped by \(shown): ".utf8)
    }

    // MARK: Options

    private func padded(_ count: Int) -> Int { (count + 3) & ~3 }

    private func optionLength(_ count: Int) -> Int { 4 + padded(count) }

    private func putOption(_ code: UInt16, _ bytes: [UInt8]) {
        file.put(code)
        file.put(UInt16(bytes.count))
        file.put(bytes)
        pad(bytes.count)
    }

    private func pad(_ count: Int) {
        for _ in count..<padded(count) { file.put(UInt8(0)) }
    }
}
