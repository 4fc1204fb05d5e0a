import Crypto
import GBCS
import Wire

/// Images with every field drawn from a seed.
struct SampleImages {
    var stream: SeededStream
    let key: P256.PrivateKey

    init(seed: UInt64) {
        stream = SeededStream(Seed(seed).named("sample images"))
        key = P256.PrivateKey.generate(from: &stream)
    }

    mutating func number<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) -> T {
        T(truncatingIfNeeded: stream.next())
    }

    mutating func isHeads() -> Bool { stream.below(2) == 0 }

    mutating func bytes(_ range: ClosedRange<Int>) -> [UInt8] {
        let extra = stream.below(UInt64(range.upperBound - range.lowerBound + 1))
        return stream.bytes(range.lowerBound + Int(extra))
    }

    /// A header; with `extended` also reserved bits and fields that no version defines yet.
    mutating func header(extended: Bool) -> OTAHeader {
        var header = OTAHeader(
            manufacturerCode: number(), imageType: ImageType(rawValue: number()),
            fileVersion: number())
        header.stackVersion = StackVersion(rawValue: number())
        header.headerString = HeaderString(String(number(UInt64.self))) ?? HeaderString()
        if isHeads() {
            header.securityCredentialVersion = SecurityCredentialVersion(rawValue: number())
        }
        if isHeads() { header.destination = EUI64(number()) }
        if isHeads() {
            header.hardwareVersions = HardwareRange(minimum: number(), maximum: number())
        }
        if extended, isHeads() { header.reservedControlBits = number() & ~7 }
        if extended, isHeads() { header.unknownFields = bytes(1...40) }
        if extended, isHeads() { header.headerVersion = 0x0100 | UInt16(number(UInt8.self)) }
        return header
    }

    mutating func image(_ form: FirmwareImage.Form, extended: Bool = true) throws -> FirmwareImage {
        let header = header(extended: extended)
        switch form {
        case .gbcsUnsigned:
            return try .unsigned(header: header, manufacturerImage: bytes(1...400))
        case .gbcsSigned:
            return try .signed(
                header: header, manufacturerImage: bytes(1...400), forceReplace: isHeads(), by: key)
        case .standard:
            var elements = [SubElement(tag: .upgradeImage, data: bytes(1...400))]
            for _ in 0..<stream.below(4) {
                let raw: UInt16
                switch stream.below(3) {
                case 0: raw = UInt16(stream.below(7))
                case 1: raw = 0xF000 | number()
                default: raw = number()
                }
                let tag = SubElementTag(rawValue: raw)
                let length = tag.fixedLength
                elements.append(SubElement(tag: tag, data: bytes((length ?? 0)...(length ?? 90))))
            }
            let coverages = FirmwareImage.IntegrityCoverage.allCases
            return try .standard(
                header: header, elements: elements,
                integrity: isHeads() ? coverages[isHeads() ? 0 : 1] : nil)
        }
    }
}
