import Crypto
import Devices
import Radio
import Wire
import Zigbee

extension FuzzTarget {
    /// What a node finds in its flash when its power comes on: bytes of any kind, and records of
    /// any content in a journal that is whole.
    static func flash() -> [FuzzTarget] {
        [
            FuzzTarget(
                "snapshot", maximumLength: 2048, briefRuns: 30_000,
                memory: MemoryLimit(base: 256 << 10, perByte: 64)
            ) {
                let world = try World()
                let blank = world.devices[0].node.stack
                var again = blank
                return Prepared(
                    seeds: [
                        world.hub.stack.snapshotBytes, world.devices[0].node.stack.snapshotBytes,
                    ]
                ) { bytes in
                    var stack = blank
                    guard (try? stack.restore(bytes)) != nil else { return }
                    let own = stack.snapshotBytes
                    guard (try? again.restore(own)) != nil, again.snapshotBytes == own else {
                        found("a snapshot is not restored as it was")
                    }
                }
            },
            FuzzTarget(
                "journal", maximumLength: 4096, briefRuns: 20_000,
                memory: MemoryLimit(base: 1 << 20, perByte: 64)
            ) {
                let world = try World()
                return Prepared(seeds: [Array(world.devices[0].flash.prefix(4096))]) { bytes in
                    openJournal(bytes)
                }
            },
            FuzzTarget(
                "device-records", maximumLength: 4096, briefRuns: 5_000, memory: .node
            ) {
                let world = try World()
                return Prepared(seeds: world.records(world.devices[0].flash)) { bytes in
                    let flash = Flash(geometry: World.deviceGeometry)
                    flash.fill(withRecords: bytes)
                    var bench = Bench(world.makeDevice(), flash: flash)
                    bench.powerOn()
                    bench.pass(.minutes(2))
                }
            },
            FuzzTarget("hub-records", maximumLength: 4096, briefRuns: 5_000, memory: .node) {
                let world = try World()
                return Prepared(seeds: world.records(world.hubFlash)) { bytes in
                    let flash = Flash(geometry: World.hubProfile.flash)
                    flash.fill(withRecords: bytes)
                    var bench = Bench(world.makeHub(), flash: flash)
                    bench.powerOn()
                    bench.pass(.minutes(2))
                }
            },
        ]
    }

    /// Whatever the flash held, what is written to the journal afterwards is there at the next
    /// start.
    private static func openJournal(_ bytes: [UInt8]) {
        let flash = Flash(geometry: FlashGeometry(size: 4 * 4096))
        flash.fill(bytes, at: 0)
        flash.fill(bytes, at: 8192)
        var out = Outbox()
        out.flash = flash.view
        var journal = Journal(firstPage: 0, pagesPerArea: 2, geometry: flash.geometry)
        journal.open(&out)
        flash.obey(&out)
        guard journal.write(1, [1, 2, 3], &out) else { return }
        flash.obey(&out)
        out.flash = flash.view
        var again = Journal(firstPage: 0, pagesPerArea: 2, geometry: flash.geometry)
        again.open(&out)
        // Bits that the bytes had already cleared behind the tail spoil a record: a torn one.
        guard again[1] == [1, 2, 3] || bytes.count > 12 else { found("a record is lost") }
    }
}

/// The memory of one node, at once and without a clock.
final class Flash {
    let geometry: FlashGeometry
    private let memory: UnsafeMutableRawBufferPointer

    init(geometry: FlashGeometry) {
        self.geometry = geometry
        memory = .allocate(byteCount: geometry.size, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0xFF)
    }

    deinit { memory.deallocate() }

    var view: FlashView { FlashView(base: UnsafeRawBufferPointer(memory), geometry: geometry) }
    var bytes: [UInt8] { Array(memory) }

    func fill(_ bytes: [UInt8], at address: Int) {
        let count = min(bytes.count, memory.count - address)
        UnsafeMutableRawBufferPointer(rebasing: memory[address..<address + count])
            .copyBytes(from: bytes.prefix(count))
    }

    /// Does what the outbox asks of the flash, and empties it.
    func obey(_ out: inout Outbox) {
        for action in out.actions {
            switch action {
            case .program(let address, let from, let count):
                guard address >= 0, address + count <= memory.count else {
                    found("\(count) bytes to be programmed at \(address)")
                }
                for index in 0..<count { memory[address + index] &= out.arena[from + index] }
            case .erase(let page):
                let start = page * geometry.pageSize
                guard page >= 0, start < memory.count else { found("page \(page) to be erased") }
                UnsafeMutableRawBufferPointer(
                    rebasing: memory[start..<start + geometry.pageSize]
                ).initializeMemory(as: UInt8.self, repeating: 0xFF)
            default: break
            }
        }
        out.removeAll()
    }

    static let journalMagic: UInt32 = 0x4A4E_4148

    /// A whole journal with records as `bytes` say: {key u8, length u16 little-endian, bytes} over
    /// and over. The keys are those that nodes use.
    func fill(withRecords bytes: [UInt8]) {
        var image = FrameBuffer()
        image.append(Self.journalMagic)
        image.append(1 as UInt32)
        image.append(CRC32.checksum(image.span))
        var area = image.bytes
        var rest = bytes[...]
        while rest.count >= 3 {
            let key = rest.removeFirst()
            let length = Int(rest.removeFirst()) | Int(rest.removeFirst()) << 8
            let body = rest.prefix(length)
            rest = rest.dropFirst(length)
            var head = FrameBuffer()
            head.append(key & 0x80 == 0 ? key % 12 : 0x40 + key % 4)
            head.append(UInt16(body.count))
            head.append(CRC32.checksum(head.span, Array(body).span))
            area += head.bytes + body
        }
        fill(area, at: 0)
    }
}

extension ZigbeeStack {
    var snapshotBytes: [UInt8] {
        var builder = ByteBuilder()
        snapshot(into: &builder)
        return builder.bytes
    }
}

extension MemoryLimit {
    /// A node with its tables, its outbox and its flash.
    static let node = MemoryLimit(base: 4 << 20, perByte: 256)
}
