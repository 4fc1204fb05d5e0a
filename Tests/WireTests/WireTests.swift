import Testing
import Wire

@Suite("Reading and writing bytes")
struct ByteTests {
    @Test("fields are little-endian and come off in order")
    func order() throws {
        var frame = FrameBuffer()
        frame.append(0x01 as UInt8)
        frame.append(0x0203 as UInt16)
        frame.append(0x0405_0607 as UInt32)
        frame.append(0x0809_0A0B_0C0D_0E0F as UInt64)
        frame.append(EUI64(0x0011_2233_4455_6677))
        frame.append(ShortAddress(0xABCD))
        frame.append(PANID(0x1234))
        let key = try #require(Key128((0..<16).map { UInt8($0 * 3) }))
        frame.append(key)
        #expect(
            Hex.string(frame.bytes)
                == "010302070605040f0e0d0c0b0a09087766554433221100cdab3412"
                + "000306090c0f1215181b1e2124272a2d")
        var reader = ByteReader(frame.span)
        #expect(try reader.u8("a") == 1)
        #expect(try reader.u16("b") == 0x0203)
        #expect(try reader.u32("c") == 0x0405_0607)
        #expect(try reader.u64("d") == 0x0809_0A0B_0C0D_0E0F)
        #expect(try reader.eui64("e") == EUI64(0x0011_2233_4455_6677))
        #expect(try reader.shortAddress("f") == ShortAddress(0xABCD))
        #expect(try reader.u16("g") == 0x1234)
        #expect(try reader.key("h") == key)
        try reader.end(after: "h")
    }

    @Test("what runs out says which field, where, and takes nothing")
    func truncation() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        var reader = ByteReader(bytes.span)
        _ = try reader.u16("first")
        _ = try reader.u64("second")
        #expect(reader.remaining == 5)
        var errors: [WireError] = []
        do { _ = try reader.u64("too long") } catch { errors.append(error) }
        do { _ = try reader.key("key") } catch { errors.append(error) }
        do { _ = try reader.take(6, "list") } catch { errors.append(error) }
        do { _ = try reader.take(-1, "list") } catch { errors.append(error) }
        do { try reader.end(after: "second") } catch { errors.append(error) }
        #expect(
            errors == [
                WireError(.truncated, "too long", at: 10), WireError(.truncated, "key", at: 10),
                WireError(.truncated, "list", at: 10), WireError(.truncated, "list", at: 10),
                WireError(.trailing, "second", at: 10),
            ])
        #expect(errors[0].description == "offset 10: the bytes end inside 'too long'")
        let rest = reader.rest()
        #expect(rest.count == 5)
        #expect(rest[0] == 11)
        try reader.end(after: "rest")
    }

    @Test("a frame that overflows keeps what it had and stays marked until it is emptied")
    func overflow() {
        var frame = FrameBuffer([UInt8](repeating: 7, count: 126))
        #expect(frame.room == 1)
        frame.append(0xAABB as UInt16)
        #expect(frame.isOverflowed)
        #expect(frame.count == 126)
        frame.append(9 as UInt8)
        #expect(frame.count == 127)
        #expect(frame.isOverflowed)
        frame.append(9 as UInt8)
        frame.appendZeros(1)
        frame.appendZeros(-1)
        frame.append([1, 2].span)
        #expect(frame.count == 127)
        frame.truncate(to: 3)
        #expect(frame.isOverflowed)
        #expect(frame.bytes == [7, 7, 7])
        frame.truncate(to: 9)
        #expect(frame.count == 3)
        frame.removeAll()
        #expect(!frame.isOverflowed)
        #expect(frame.isEmpty)
    }

    @Test("each kind of field fits to the last byte and not one further")
    func edges() throws {
        let key = try #require(Key128([UInt8](repeating: 1, count: 16)))
        let writers: [(Int, (inout FrameBuffer) -> Void)] = [
            (1, { $0.append(1 as UInt8) }), (2, { $0.append(1 as UInt16) }),
            (4, { $0.append(1 as UInt32) }), (8, { $0.append(1 as UInt64) }),
            (8, { $0.append(EUI64(1)) }), (2, { $0.append(PANID(1)) }),
            (16, { $0.append(key) }), (5, { $0.append([1, 2, 3, 4, 5].span) }),
            (6, { $0.appendZeros(6) }),
        ]
        for (size, write) in writers {
            for room in [size, size - 1] {
                var frame = FrameBuffer([UInt8](repeating: 0, count: 127 - room))
                write(&frame)
                #expect(frame.isOverflowed == (room < size))
            }
        }
    }

    @Test("equality of frames looks at their bytes only, not at what lies behind them")
    func equality() {
        var a = FrameBuffer([1, 2, 3])
        a.truncate(to: 2)
        #expect(a == FrameBuffer([1, 2]))
        #expect(a != FrameBuffer([1, 3]))
        #expect(a != FrameBuffer([1]))
    }
}

@Suite("Checks")
struct CheckTests {
    /// The check values of the catalogue of parametrised CRC algorithms: "123456789".
    private let digits = Array("123456789".utf8)

    @Test("the frame check sequence is CRC-16/KERMIT")
    func kermit() { #expect(CRC16.frameCheckSequence(digits.span) == 0x2189) }

    @Test("the install code's CRC is CRC-16/X-25")
    func x25() {
        #expect(CRC16.installCode(digits.span) == 0x906E)
        let code: [UInt8] = [0x83, 0xFE, 0xD3, 0x40, 0x7A, 0x93]
        #expect(CRC16.installCode(code.span) == 0x702B)
    }

    @Test("the journal's CRC is CRC-32 of IEEE 802.3")
    func crc32() {
        #expect(CRC32.checksum(digits.span) == 0xCBF4_3926)
        #expect(CRC32.checksum([UInt8]().span) == 0)
    }

    @Test("a frame with its check sequence behind it sums to zero")
    func residue() {
        var stream = SeededStream(Seed(4))
        for count in 0..<100 {
            var frame = FrameBuffer(stream.bytes(count))
            frame.append(CRC16.frameCheckSequence(frame.span))
            #expect(CRC16.frameCheckSequence(frame.span) == 0)
        }
    }
}

@Suite("Addresses, keys and hex")
struct TextTests {
    @Test(
        "an EUI-64 is read with and without separators",
        arguments: [
            "00DB1234567890A4", "00db1234567890a4", "00-DB-12-34-56-78-90-A4",
            "00:db:12:34:56:78:90:a4", "00DB-1234-5678-90A4",
        ])
    func eui64(text: String) {
        #expect(EUI64(text) == EUI64(0x00DB_1234_5678_90A4))
        #expect(EUI64(text)?.description == "00DB1234567890A4")
    }

    @Test(
        "what is no EUI-64 is refused",
        arguments: [
            "", "00DB1234567890A", "00DB1234567890A45", "00DB1234567890A4-", "-00DB1234567890A4",
            "0-0DB1234567890A4", "00DB1234567890AG", "00 DB1234567890A4", "００DB1234567890A4",
        ])
    func noEUI64(text: String) { #expect(EUI64(text) == nil) }

    @Test("two separators in a row are no EUI-64")
    func doubleSeparator() { #expect(EUI64("00--DB1234567890A4") == nil) }

    @Test("hex text and bytes turn into each other")
    func hex() {
        let all = (0...255).map { UInt8($0) }
        #expect(Hex.bytes(Hex.string(all)) == all)
        #expect(Hex.bytes("0aFf") == [0x0A, 0xFF])
        #expect(Hex.bytes("") == [])
        #expect(Hex.bytes("0") == nil)
        #expect(Hex.bytes("0x") == nil)
        #expect(Hex.bytes("0 00") == nil)
        #expect(Hex.string(0xBEEF, digits: 8) == "0000BEEF")
        #expect(Hex.string(0x1_2345, digits: 4) == "2345")
    }

    @Test("keys and digests keep their bytes in order and take no other length")
    func keys() throws {
        let bytes = (0..<32).map { UInt8(truncatingIfNeeded: 7 * $0 + 250) }
        let key = try #require(Key128(bytes.prefix(16)))
        #expect(key.bytes == Array(bytes.prefix(16)))
        #expect((0..<16).map { key[$0] } == key.bytes)
        #expect(Key128(bytes.prefix(15)) == nil)
        #expect(Key128(bytes.prefix(17)) == nil)
        let digest = try #require(Digest256(bytes))
        #expect(digest.bytes == bytes)
        #expect(digest.description == Hex.string(bytes))
        #expect(Digest256(bytes.prefix(31)) == nil)
    }

    @Test("0xFFF8 and above are broadcasts, and nothing below is")
    func broadcasts() {
        for raw in UInt16.min...UInt16.max {
            #expect(ShortAddress(raw).isBroadcast == (raw >= 0xFFF8))
        }
    }
}

@Suite("Seeds and time")
struct SeedTests {
    @Test("streams of one seed repeat, those of other names, numbers and seeds differ")
    func streams() {
        let seed = Seed(1)
        var seen: Set<UInt64> = []
        let seeds =
            ["", "a", "b", "ab", "ba", "air.loss", "air.backoff"].map { seed.named($0) }
            + (0..<100).map { seed.indexed($0) } + [Seed(2).named("a"), seed.named("a").named("a")]
        for each in seeds {
            var first = SeededStream(each)
            var again = SeededStream(each)
            let numbers = (0..<50).map { _ in first.next() }
            #expect(numbers == (0..<50).map { _ in again.next() })
            for number in numbers { #expect(seen.insert(number).inserted) }
        }
    }

    @Test("the generator is SplitMix64, published output for seed 1234567")
    func published() {
        var stream = SeededStream(Seed(1_234_567))
        #expect(
            (0..<5).map { _ in stream.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test("a throw depends on its three numbers, each of them and their order, and nothing else")
    func throwing() {
        let seed = Seed(9)
        var seen: Set<UInt64> = []
        for a in 0..<12 as Range<UInt64> {
            for b in 0..<12 as Range<UInt64> {
                for c in 0..<12 as Range<UInt64> {
                    #expect(seen.insert(seed.throwDice(a, b, c)).inserted)
                    #expect(seed.throwDice(a, b, c) == seed.throwDice(a, b, c))
                }
            }
        }
    }

    @Test("numbers below a bound stay below it and are spread evenly")
    func below() {
        var stream = SeededStream(Seed(77))
        var counts = [Int](repeating: 0, count: 100)
        for _ in 0..<100_000 { counts[Int(stream.below(100))] += 1 }
        // 1,000 expected, standard deviation 31: five of them either way.
        #expect(counts.allSatisfy { 840...1_160 ~= $0 })
        #expect(stream.below(1) == 0)
    }

    @Test("a run of bytes is what the words hold, little-endian, and any length")
    func bytes() {
        var words = SeededStream(Seed(5))
        let long = words.next()
        for count in 0...8 {
            var stream = SeededStream(Seed(5))
            #expect(
                stream.bytes(count)
                    == (0..<count).map { UInt8(truncatingIfNeeded: long >> UInt64(8 * $0)) })
        }
    }

    @Test("UTC time moves with virtual time and stops at its end")
    func utc() {
        let start = UTCTime(secondsSince2000: 833_000_000)
        #expect(start.advanced(by: .seconds(60)).secondsSince2000 == 833_000_060)
        #expect(start.advanced(by: .microseconds(999_999)) == start)
        #expect(start.advanced(by: .hours(24) * 365 * 200).secondsSince2000 == .max)
        #expect(UTCTime(secondsSince2000: 5).advanced(by: .seconds(-9)).secondsSince2000 == 0)
    }

    @Test("intervals add, multiply and compare in whole microseconds")
    func intervals() {
        #expect(Interval.hours(1) == .minutes(60))
        #expect(Interval.milliseconds(3) * 4 == .microseconds(12_000))
        #expect((Instant.zero + .seconds(2)) - Instant.zero == .seconds(2))
        #expect(Instant.zero + .seconds(1) < .distantFuture)
        #expect(Interval.milliseconds(1_500).inSeconds == 1.5)
    }
}
