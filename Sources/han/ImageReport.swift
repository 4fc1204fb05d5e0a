import GBCS
import Wire

/// Codes as they are shown to people and programs alike.
enum Code {
    static func text<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> String {
        "0x" + Hex.string(UInt64(value), digits: T.bitWidth / 4)
    }
}

struct HardwareReport: Encodable {
    var minimum: String
    var maximum: String

    init(_ range: HardwareRange) {
        minimum = Code.text(range.minimum)
        maximum = Code.text(range.maximum)
    }
}

/// What `han image inspect` shows of an image, in the shape of its JSON.
struct ImageReport: Encodable {
    struct Header: Encodable {
        var headerVersion: String
        var headerLength: Int
        var fieldControl: String
        var manufacturerCode: String
        var imageType: String
        var fileVersion: String
        var stackVersion: String
        var headerString: String
        var totalImageSize: Int
        var securityCredentialVersion: String?
        var destination: String?
        var hardwareVersions: HardwareReport?
        var unknownFields: String?
    }

    struct Part: Encodable {
        var offset: Int
        var size: Int
        var sha256: String
    }

    struct Trailer: Encodable {
        var forceReplace: Int
        var signature: String
    }

    struct Element: Encodable {
        var tag: String
        var name: String
        var offset: Int
        var size: Int
    }

    var file: String
    var size: Int
    var form: String
    var header: Header
    var manufacturerImage: Part
    var trailer: Trailer?
    var elements: [Element]?
    var integrity: String?

    init(_ image: FirmwareImage, file: String) {
        let header = image.header
        self.file = file
        size = Int(header.totalImageSize)
        form = image.form.rawValue
        self.header = Header(
            headerVersion: Code.text(header.headerVersion),
            headerLength: Int(header.headerLength),
            fieldControl: Code.text(header.fieldControl),
            manufacturerCode: Code.text(header.manufacturerCode),
            imageType: Code.text(header.imageType.rawValue),
            fileVersion: Code.text(header.fileVersion),
            stackVersion: Code.text(header.stackVersion.rawValue),
            headerString: header.headerString.text,
            totalImageSize: Int(header.totalImageSize),
            securityCredentialVersion: header.securityCredentialVersion.map {
                Code.text($0.rawValue)
            },
            destination: header.destination?.description,
            hardwareVersions: header.hardwareVersions.map { HardwareReport($0) },
            unknownFields: header.unknownFields.isEmpty ? nil : Hex.string(header.unknownFields))
        manufacturerImage = Part(
            offset: Int(header.headerLength), size: image.manufacturerImage.count,
            sha256: image.manufacturerImageHash.description)
        trailer = image.trailer.map {
            Trailer(forceReplace: Int($0.forceReplace), signature: Hex.string($0.signature))
        }
        guard image.form == .standard else { return }
        var offset = Int(header.headerLength)
        var elements: [Element] = []
        var isUpgradeImageFound = false
        for element in image.elements {
            offset += SubElement.headerLength
            elements.append(
                Element(
                    tag: Code.text(element.tag.rawValue), name: element.tag.description,
                    offset: offset, size: element.data.count))
            if element.tag == .upgradeImage, !isUpgradeImageFound {
                isUpgradeImageFound = true
                manufacturerImage.offset = offset
            }
            offset += element.data.count
        }
        self.elements = elements
        integrity =
            switch image.verifyIntegrity() {
            case .none: "none"
            case .wrong: "wrong"
            case .matches(let coverage): coverage.rawValue
            }
    }

    /// The same for people, in two columns.
    func rows(of image: FirmwareImage) -> [[String]] {
        var rows = [
            ["File", file],
            ["Size", Output.exactSize(size)],
            ["Form", "\(form), \(Self.words(for: image.form))"],
            ["Header version", header.headerVersion],
            ["Header length", "\(header.headerLength) bytes"],
            ["Field control", header.fieldControl],
            ["Manufacturer code", header.manufacturerCode],
            ["Image type", header.imageType],
            ["File version", header.fileVersion],
            ["Stack version", "\(header.stackVersion), \(image.header.stackVersion)"],
            ["Header string", "'\(header.headerString)'"],
        ]
        if let version = image.header.securityCredentialVersion {
            rows.append(["Security credentials", "\(Code.text(version.rawValue)), \(version)"])
        }
        if let destination = header.destination { rows.append(["Destination", destination]) }
        if let hardware = header.hardwareVersions {
            var text = "\(hardware.minimum) to \(hardware.maximum)"
            if hardware.minimum > hardware.maximum { text += " (the wrong way round: fits none)" }
            rows.append(["Hardware versions", text])
        }
        if let unknown = header.unknownFields { rows.append(["Unknown fields", unknown]) }
        rows += [
            [
                "Manufacturer image",
                "\(Output.exactSize(manufacturerImage.size)) at offset \(manufacturerImage.offset)",
            ],
            ["  SHA-256", manufacturerImage.sha256],
        ]
        if let trailer {
            rows += [
                ["Force replace", Self.words(forForceReplace: trailer.forceReplace)],
                ["Signature r", String(trailer.signature.prefix(64))],
                ["Signature s", String(trailer.signature.suffix(64))],
            ]
        }
        for (element, part) in zip(elements ?? [], image.elements) {
            var text =
                "\(element.name), \(Output.exactSize(element.size)) at offset \(element.offset)"
            if let length = part.tag.fixedLength, length != element.size {
                text += " (expected \(length) bytes)"
            }
            rows.append(["Element \(element.tag)", text])
        }
        if let integrity { rows.append(["Integrity code", Self.words(forIntegrity: integrity)]) }
        return rows
    }

    private static func words(for form: FirmwareImage.Form) -> String {
        switch form {
        case .gbcsSigned: "with a supplier's signature (ESME, GSME, HCALCS)"
        case .gbcsUnsigned: "without a signature (PPMID)"
        case .standard: "ZigBee sub-elements"
        }
    }

    private static func words(forForceReplace value: Int) -> String {
        switch value {
        case 0: "0, no"
        case 1: "1, yes"
        default: "\(value), unknown (expected 0 or 1)"
        }
    }

    private static func words(forIntegrity value: String) -> String {
        switch value {
        case "none": "none"
        case "wrong": "wrong: fits neither with nor without its tag header"
        default: "right, \(value)"
        }
    }
}
