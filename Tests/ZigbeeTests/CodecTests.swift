import Testing
import Wire
import Zigbee

@Suite("Layouts")
struct CodecTests {
    @Test("known bytes are read whole and written again as they were", arguments: Vector.all)
    func vectors(vector: Vector) throws {
        let recoded = try vector.codec.recode(vector.bytes)
        #expect(Hex.string(recoded.bytes) == vector.hex)
        #expect(recoded.used == vector.bytes.count)
        #expect(vector.codec.isCanonical(vector.bytes))
    }

    @Test("known bytes cut short anywhere are an error that says where", arguments: Vector.all)
    func truncation(vector: Vector) {
        for count in 0..<vector.bytes.count where !vector.shorter.contains(count) {
            #expect {
                try vector.codec.recode(Array(vector.bytes.prefix(count)))
            } throws: { error in
                guard let error = error as? WireError else { return false }
                return error.problem == .truncated && error.offset <= count
            }
        }
    }

    @Test("bytes behind a layout are left alone", arguments: Vector.all)
    func trailing(vector: Vector) throws {
        guard vector.shorter.isEmpty, vector.hex != "97000000003c000000" else { return }
        let recoded = try vector.codec.recode(vector.bytes + [0xA5, 0x5A])
        #expect(recoded.used == vector.bytes.count)
    }

    @Test("any bytes are a value or an error, and a value's own bytes are stable")
    func anything() {
        var stream = SeededStream(Seed(20_260_101))
        var parsed = 0
        for _ in 0..<100_000 {
            let bytes = stream.bytes(Int(stream.below(128)))
            for codec in Codec.all {
                guard let first = try? codec.recode(bytes) else { continue }
                parsed += 1
                check(codec, bytes, first)
            }
        }
        #expect(parsed > 500_000)
    }

    @Test("known bytes with any one of them changed are a value or an error", arguments: Vector.all)
    func mutations(vector: Vector) {
        for index in vector.bytes.indices {
            for value in UInt8.min...UInt8.max {
                var bytes = vector.bytes
                bytes[index] = value
                guard let first = try? vector.codec.recode(bytes) else { continue }
                check(vector.codec, bytes, first)
            }
        }
    }

    private func check(_ codec: Codec, _ bytes: [UInt8], _ first: Codec.Recoded) {
        if first.used > bytes.count { Issue.record("\(codec.name) reads past the end") }
        // What does not fit a frame is cut there; nothing else differs.
        if first.bytes.count < 120 {
            if codec.isCanonical(bytes), first.bytes != Array(bytes.prefix(first.used)) {
                Issue.record(
                    "\(codec.name): \(Hex.string(bytes)) is written \(Hex.string(first.bytes))")
            }
            if let again = try? codec.recode(first.bytes) {
                if again.bytes != first.bytes {
                    Issue.record("\(codec.name): \(Hex.string(first.bytes)) is not stable")
                }
            } else {
                Issue.record("\(codec.name): its own \(Hex.string(first.bytes)) is not read")
            }
        }
    }

    @Test("an APS acknowledgement swaps the endpoints and keeps cluster, profile and counter")
    func acknowledgement() throws {
        var header = APSHeader(kind: .data, counter: 42)
        header.isSecured = true
        header.acknowledgementRequested = true
        (header.destinationEndpoint, header.sourceEndpoint) = (1, 10)
        (header.cluster, header.profile) = (0x0019, 0x0109)
        var frame = FrameBuffer()
        header.acknowledgement.encode(into: &frame)
        #expect(Hex.string(frame.bytes) == "220a19000901012a")
    }

    @Test("the values of known bytes are the ones meant")
    func values() throws {
        let notify = Vector(.notify, "0364d410010002000000").bytes
        var reader = ByteReader(notify.span)
        #expect(
            try ImageNotify(parsing: &reader)
                == ImageNotify(jitter: 100, manufacturer: 0x10D4, imageType: 1, version: 2))
        let block = Vector(.block, "03d41001000200000000000000307766554433221100f401").bytes
        reader = ByteReader(block.span)
        #expect(
            try ImageBlockRequest(parsing: &reader)
                == ImageBlockRequest(
                    image: ImageIdentity(manufacturer: 0x10D4, imageType: 1, version: 2),
                    offset: 0, maximumDataSize: 48, requester: EUI64(0x0011_2233_4455_6677),
                    minimumBlockPeriod: 500))
        let wait = Vector(.blockResponse, "97000000003c000000f401").bytes
        reader = ByteReader(wait.span)
        #expect(
            try ImageBlockResponse(parsing: &reader)
                == .wait(currentTime: 0, requestTime: 60, minimumBlockPeriod: 500))
        let beacon = Vector(.beacon, "ffcf000000228401000000aa00aa00ffffff00").bytes
        reader = ByteReader(beacon.span)
        let parsed = try Beacon(parsing: &reader)
        #expect(parsed.associationPermitted && parsed.isCoordinator)
        #expect(parsed.stackProfile == 2 && parsed.protocolVersion == 2)
        #expect(parsed.routerCapacity && parsed.endDeviceCapacity && parsed.depth == 0)
        #expect(parsed.extendedPAN == EUI64(0x00AA_00AA_0000_0001))
    }

    @Test(
        "fields that must not have a value are refused by name",
        arguments: [
            (Codec.mac, "648807341200009a3c"), (.mac, "698807341200009a3c"),
            (.mac, "61840734120000"),
            (.beacon, "ffcf010000228401000000aa00aa00ffffff00"),
            (.beacon, "ffcf000001228401000000aa00aa00ffffff00"), (.nwk, "4a0200009a3c1e05"),
            (.nwk, "440200009a3c1e05"), (.aps, "6301190009010a2a"), (.aps, "6401190009010a2a"),
            (.zcl, "020101"), (.notify, "0464d410010002000000"), (.notify, "0000"),
            (.notify, "0065"),
            (.apsCommand, "0502000102030405060708090a0b0c0d0e0f0001000000bb00bb00"),
        ])
    func invalid(codec: Codec, hex: String) {
        #expect {
            try codec.recode(Vector(codec, hex).bytes)
        } throws: { ($0 as? WireError)?.problem == .invalid }
    }

    @Test("Upgrade End times: offset, absolute, past, now and wait to be told")
    func delays() {
        let image = ImageIdentity(manufacturer: 1, imageType: 2, version: 3)
        let cases: [(UInt32, UInt32, UInt32?)] = [
            (0, 0, 0), (0, 60, 60), (1_000, 1_060, 60), (1_000, 1_000, 0), (1_060, 1_000, 0),
            (1_000, 0, 0), (0, .max, nil), (1_000, .max, nil), (0, .max - 1, .max - 1),
        ]
        for (current, upgrade, delay) in cases {
            #expect(
                UpgradeEndResponse(image: image, currentTime: current, upgradeTime: upgrade).delay
                    == delay)
        }
    }

    @Test("wildcards cover every image, and nothing else does")
    func wildcards() {
        let image = ImageIdentity(manufacturer: 1, imageType: 2, version: 3)
        for mask in 0..<8 {
            let wild = ImageIdentity(
                manufacturer: mask & 1 != 0 ? 0xFFFF : 1, imageType: mask & 2 != 0 ? 0xFFFF : 2,
                version: mask & 4 != 0 ? 0xFFFF_FFFF : 3)
            #expect(wild.covers(image))
        }
        for other in [
            ImageIdentity(manufacturer: 2, imageType: 2, version: 3),
            ImageIdentity(manufacturer: 1, imageType: 3, version: 3),
            ImageIdentity(manufacturer: 1, imageType: 2, version: 4),
        ] { #expect(!other.covers(image)) }
    }
}
