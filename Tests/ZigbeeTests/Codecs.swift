import Testing
import Wire
import Zigbee

/// One wire layout under test: bytes in, the parsed value's own bytes out.
struct Codec: Sendable, CustomTestStringConvertible {
    struct Recoded: Equatable {
        /// What the parsed value encodes to.
        var bytes: [UInt8]
        /// How many of the given bytes the parser took.
        var used: Int
    }

    var name: String
    /// Parses and encodes again.
    var recode: @Sendable ([UInt8]) throws(WireError) -> Recoded
    /// Whether these bytes use no reserved bit and no form that the encoder does not write.
    var isCanonical: @Sendable ([UInt8]) -> Bool

    var testDescription: String { name }

    init(
        _ name: String, canonical: @escaping @Sendable ([UInt8]) -> Bool = { _ in true },
        _ recode:
            @escaping @Sendable (inout ByteReader, inout FrameBuffer) throws(WireError) ->
            Void
    ) {
        self.name = name
        isCanonical = canonical
        self.recode = { bytes throws(WireError) in
            var reader = ByteReader(bytes.span)
            var frame = FrameBuffer()
            try recode(&reader, &frame)
            return Recoded(bytes: frame.bytes, used: reader.offset)
        }
    }

    static let all: [Codec] = [
        mac, macCommand, beacon, nwk, auxiliary, nwkCommand, aps, apsCommand, announce, zcl,
        notify, query, offer, block, page, blockResponse, endRequest, endResponse, deviceFile,
    ]

    static let mac = Codec("MACHeader", canonical: { $0[1] & 0x03 == 0 && $0[0] & 0x80 == 0 }) {
        (reader, frame) throws(WireError) in try MACHeader(parsing: &reader).encode(into: &frame)
    }
    static let macCommand = Codec("MACCommand") {
        (reader, frame) throws(WireError) in try MACCommand(parsing: &reader).encode(into: &frame)
    }
    static let beacon = Codec(
        "Beacon",
        canonical: {
            $0[0] == 0xFF && $0[1] & 0x3F == 0x0F && $0[2] == 0 && $0[3] == 0
                && $0[6] & 0x03 == 0 && $0[15..<18] == [0xFF, 0xFF, 0xFF]
        }
    ) { (reader, frame) throws(WireError) in try Beacon(parsing: &reader).encode(into: &frame) }
    static let nwk = Codec(
        "NWKHeader", canonical: { $0[0] & 0x80 == 0 && $0[1] & 0xC5 == 0 }
    ) { (reader, frame) throws(WireError) in try NWKHeader(parsing: &reader).encode(into: &frame) }
    static let auxiliary = Codec("AuxiliaryHeader", canonical: { $0[0] & 0xC7 == 5 }) {
        (reader, frame) throws(WireError) in
        try AuxiliaryHeader(parsing: &reader).encodeForSealing(into: &frame)
    }
    static let nwkCommand = Codec(
        "NWKCommand",
        canonical: { bytes in
            switch bytes[0] {
            case 0x01, 0x02: bytes[1] == 0
            case 0x04: bytes[1] & 0x1F == 0
            case 0x0B: bytes[2] == 0
            default: true
            }
        }
    ) { (reader, frame) throws(WireError) in try NWKCommand(parsing: &reader).encode(into: &frame) }
    static let aps = Codec(
        "APSHeader",
        canonical: { bytes in
            guard bytes[0] & 0x80 != 0 else { return true }
            let ack = bytes[0] & 0x13
            let extended = bytes[0] & 3 == 1 || ack == 0x12 ? 2 : bytes[0] & 0x0C == 0x0C ? 9 : 8
            return bytes[extended] & 0xFC == 0 && bytes[extended] != 0
        }
    ) { (reader, frame) throws(WireError) in try APSHeader(parsing: &reader).encode(into: &frame) }
    static let apsCommand = Codec("APSCommand") {
        (reader, frame) throws(WireError) in try APSCommand(parsing: &reader).encode(into: &frame)
    }
    static let announce = Codec("DeviceAnnounce") {
        (reader, frame) throws(WireError) in
        try DeviceAnnounce(parsing: &reader).encode(into: &frame)
    }
    static let zcl = Codec("ZCLHeader", canonical: { $0[0] & 0xE0 == 0 }) {
        (reader, frame) throws(WireError) in try ZCLHeader(parsing: &reader).encode(into: &frame)
    }
    static let notify = Codec("ImageNotify") {
        (reader, frame) throws(WireError) in try ImageNotify(parsing: &reader).encode(into: &frame)
    }
    static let query = Codec("QueryNextImageRequest", canonical: { $0[0] & 0xFE == 0 }) {
        (reader, frame) throws(WireError) in
        try QueryNextImageRequest(parsing: &reader).encode(into: &frame)
    }
    static let offer = Codec("QueryNextImageResponse") {
        (reader, frame) throws(WireError) in
        try QueryNextImageResponse(parsing: &reader).encode(into: &frame)
    }
    static let block = Codec("ImageBlockRequest", canonical: { $0[0] & 0xFC == 0 }) {
        (reader, frame) throws(WireError) in
        try ImageBlockRequest(parsing: &reader).encode(into: &frame)
    }
    static let page = Codec("ImagePageRequest", canonical: { $0[0] & 0xFE == 0 }) {
        (reader, frame) throws(WireError) in
        try ImagePageRequest(parsing: &reader).encode(into: &frame)
    }
    static let blockResponse = Codec("ImageBlockResponse") {
        (reader, frame) throws(WireError) in
        let response = try ImageBlockResponse(parsing: &reader)
        response.encode(into: &frame)
        if case .block(_, _, let count) = response {
            frame.append(try reader.take(Int(count), "image data"))
        }
    }
    static let endRequest = Codec("UpgradeEndRequest") {
        (reader, frame) throws(WireError) in
        try UpgradeEndRequest(parsing: &reader).encode(into: &frame)
    }
    static let endResponse = Codec("UpgradeEndResponse") {
        (reader, frame) throws(WireError) in
        try UpgradeEndResponse(parsing: &reader).encode(into: &frame)
    }
    static let deviceFile = Codec("QueryDeviceSpecificFileRequest") {
        (reader, frame) throws(WireError) in
        try QueryDeviceSpecificFileRequest(parsing: &reader).encode(into: &frame)
    }
}

/// Bytes that a layout must read and write exactly so, and the shorter lengths it takes as well.
struct Vector: Sendable, CustomTestStringConvertible {
    var codec: Codec
    var hex: String
    var shorter: Set<Int>

    init(_ codec: Codec, _ hex: String, shorter: Set<Int> = []) {
        self.codec = codec
        self.hex = hex
        self.shorter = shorter
    }

    var testDescription: String { "\(codec.name) \(hex)" }
    var bytes: [UInt8] { Hex.bytes(hex) ?? [] }

    /// From the layouts of IEEE 802.15.4, ZigBee and the ZCL; the OTA ones are as zigpy writes
    /// them, without the three bytes of ZCL header.
    static let all: [Vector] = [
        // Data, acknowledged, short to short; broadcast; data request with a long source.
        Vector(.mac, "618807341200009a3c"), Vector(.mac, "4188073412ffff9a3c"),
        Vector(.mac, "63c8073412000001000000bb00bb00"),
        // Association request and response, beacon request, beacon, acknowledgements.
        Vector(.mac, "23c80534120000ffff01000000bb00bb00"),
        Vector(.mac, "63cc05341201000000bb00bb0001000000aa00aa00"),
        Vector(.mac, "030805ffffffff"), Vector(.mac, "00800534120000"), Vector(.mac, "020007"),
        Vector(.mac, "120007"),
        Vector(.macCommand, "018e"), Vector(.macCommand, "029a3c00"), Vector(.macCommand, "0302"),
        Vector(.macCommand, "04"), Vector(.macCommand, "05"), Vector(.macCommand, "06"),
        Vector(.macCommand, "07"), Vector(.macCommand, "08"),
        Vector(.beacon, "ffcf000000228401000000aa00aa00ffffff00"),
        Vector(.beacon, "ff0f000000220c0807060504030201ffffff07"),
        Vector(.nwk, "480200009a3c1e05"), Vector(.nwk, "0802fdff9a3c1e06"),
        Vector(.nwk, "091a00009a3c0107080706050403020101000000bb00bb00"),
        Vector(.nwk, "482200009a3c1e05"),
        Vector(.auxiliary, "2d0100000001000000bb00bb0000"), Vector(.auxiliary, "0501000000"),
        Vector(.auxiliary, "250100000001000000bb00bb00"), Vector(.auxiliary, "15ffffffff"),
        Vector(.auxiliary, "350100000001000000bb00bb00"), Vector(.auxiliary, "1d00000080"),
        Vector(.nwkCommand, "01000712340a"), Vector(.nwkCommand, "020007123478560a"),
        Vector(.nwkCommand, "030b3412"), Vector(.nwkCommand, "0420"), Vector(.nwkCommand, "04c0"),
        Vector(.nwkCommand, "068e"), Vector(.nwkCommand, "07341200"),
        Vector(.nwkCommand, "0b0800"), Vector(.nwkCommand, "0c0003"),
        Vector(.nwkCommand, "0861123411"),
        // Unicast data with acknowledgement and link key; broadcast; group; command; its
        // acknowledgement; the acknowledgement of data; fragments and their acknowledgement.
        Vector(.aps, "600119000901012a"), Vector(.aps, "080013000000002a"),
        Vector(.aps, "0c341219000901012a"), Vector(.aps, "212a"),
        Vector(.aps, "122a"), Vector(.aps, "0201190009010a2a"),
        Vector(.aps, "e001190009010a2a0103"), Vector(.aps, "e001190009010a2a0201"),
        Vector(.aps, "8201190009010a2a020107"), Vector(.aps, "a20104070901010b010003"),
        Vector(.aps, "e00104070901010b0102"), Vector(.aps, "e00104070901010b0201"),
        Vector(
            .apsCommand,
            "0501000102030405060708090a0b0c0d0e0f0001000000bb00bb0001000000aa00aa00"),
        Vector(
            .apsCommand, "0504000102030405060708090a0b0c0d0e0f01000000bb00bb0001000000aa00aa00"),
        Vector(.apsCommand, "0601000000bb00bb00341201"), Vector(.apsCommand, "0701000000bb00bb00"),
        Vector(.apsCommand, "0901"),
        Vector(.apsCommand, "0e01000000bb00bb00212a300100", shorter: Set(9..<14)),
        Vector(.apsCommand, "08"),
        Vector(.announce, "341201000000bb00bb008e"),
        Vector(.zcl, "010101"), Vector(.zcl, "190102"), Vector(.zcl, "000a00"),
        Vector(.zcl, "050b100a00"), Vector(.zcl, "180a0b"),
        // 1901000364d410010002000000 without its ZCL header, and so on.
        Vector(.notify, "0364d410010002000000"), Vector(.notify, "0064"),
        Vector(.notify, "0101d410"), Vector(.notify, "0232d4100100"),
        Vector(.query, "01d4100100010000000001"), Vector(.query, "00d410010001000000"),
        Vector(.offer, "00d41001000200000045230100"), Vector(.offer, "98"), Vector(.offer, "7e"),
        Vector(.block, "03d41001000200000000000000307766554433221100f401"),
        Vector(.block, "00d4100100020000000000000030"),
        Vector(.block, "02d4100100020000000000000030f401"),
        Vector(.block, "01d41001000200000000000000307766554433221100"),
        Vector(.page, "00d410010002000000000000003000022c01"),
        Vector(.page, "01d410010002000000000000003000022c017766554433221100"),
        Vector(.blockResponse, "97000000003c000000f401", shorter: [9, 10]),
        Vector(.blockResponse, "97000000003c000000"), Vector(.blockResponse, "95"),
        Vector(.blockResponse, "00d410010002000000000000000401020304"),
        Vector(.blockResponse, "00d410010002000000ffffffff00"),
        Vector(.endRequest, "00d410010002000000"), Vector(.endRequest, "95d410010002000000"),
        Vector(.endResponse, "d41001000200000000000000ffffffff"),
        Vector(.deviceFile, "7766554433221100d4100100020000000200"),
    ]
}
