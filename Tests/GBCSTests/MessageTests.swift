import Crypto
import GBCS
import Testing
import Wire

/// A small home's parties with keys of their own, so that devices can sign too.
enum Parties {
    static let supplier = EUI64(0x0247_4200_0000_0100)
    static let broker = EUI64(0x0247_4200_0000_0002)
    static let esme = EUI64(0x0247_4200_0001_0001)
    static let gsme = EUI64(0x0247_4200_0001_0002)
    static let hub = EUI64(0x0247_4200_0001_0003)

    static let keys: KeyStore = {
        var keys = KeyStore()
        var stream = SeededStream(Seed(4).named("parties"))
        for party in [supplier, broker, esme, gsme, hub] {
            keys.add(P256.PrivateKey.generate(from: &stream), of: party, for: .signing)
            keys.add(P256.PrivateKey.generate(from: &stream), of: party, for: .agreement)
        }
        keys.set(.supplier, of: supplier)
        keys.set(.accessControlBroker, of: broker)
        for device in [esme, gsme, hub] { keys.setDevice(device) }
        return keys
    }()
}

/// One message of each kind that is understood inside.
struct Sample: Sendable, CustomStringConvertible {
    var name: String
    var code: MessageCode
    var kind: MessageKind
    var content: MessageContent
    var description: String { name }

    static let time = GeneralizedTime("2030-01-15T09:00:00Z")!
    static let hash = Digest256((0..<32).map { UInt8($0) })!

    static let all: [Sample] = {
        let invokeID = DLMSAPDU.invokeID(for: 0x0102_0304)
        let cosem = COSEMDateTime(time)
        let outcome = ActivationOutcome(result: .hashMismatch, version: 0x0123_ABCD)
        let key = [UInt8](repeating: 0x5A, count: 16)
        return [
            Sample(
                name: "CCS01", code: .addDevice, kind: .command,
                content: .addDevice(
                    AddDevice(
                        invokeID: invokeID, device: Parties.esme, installCode: key, joinTime: 90))),
            Sample(
                name: "CCS01 answer", code: .addDevice, kind: .response,
                content: .deviceLogResponse(
                    DeviceLogResponse(adding: true, invokeID: invokeID, results: [0, 0, 3]))),
            Sample(
                name: "CCS02", code: .removeDevice, kind: .command,
                content: .removeDevice(RemoveDevice(invokeID: invokeID, device: Parties.gsme))),
            Sample(
                name: "CS06 at once", code: .activateFirmware, kind: .command,
                content: .activateFirmware(
                    ActivateFirmware(hash: hash, originatorCounter: .max))),
            Sample(
                name: "CS06 for later", code: .activateFirmware, kind: .command,
                content: .activateFirmware(
                    ActivateFirmware(hash: hash, originatorCounter: 0x80, executionTime: time))),
            Sample(
                name: "CS06 cancelled", code: .activateFirmware, kind: .command,
                content: .activateFirmware(
                    ActivateFirmware(hash: hash, originatorCounter: 0, executionTime: .never))),
            Sample(
                name: "CS06 accepted", code: .activateFirmware, kind: .response,
                content: .activateFirmwareResponse(.accepted)),
            Sample(
                name: "CS06 done", code: .activateFirmware, kind: .response,
                content: .activateFirmwareResponse(.executed(outcome))),
            Sample(
                name: "8F67", code: .futureDatedFirmwareAlert, kind: .alert,
                content: .futureDatedFirmwareAlert(
                    FutureDatedFirmwareAlert(
                        executedAt: time, originatorCounter: 1004, outcome: outcome))),
            Sample(
                name: "CS08", code: .readHANDeviceFirmwareVersion, kind: .command,
                content: .readFirmwareVersion),
            Sample(
                name: "CS08 answer", code: .readHANDeviceFirmwareVersion, kind: .response,
                content: .firmwareVersionResponse(FirmwareVersionResponse(version: 7))),
            Sample(
                name: "ECS52", code: .readESMEFirmwareVersion, kind: .command,
                content: .readESMEFirmwareVersion(ReadESMEFirmwareVersion(invokeID: invokeID))),
            Sample(
                name: "ECS52 refused", code: .readESMEFirmwareVersion, kind: .response,
                content: .esmeFirmwareVersionResponse(
                    ESMEFirmwareVersionResponse(invokeID: invokeID, version: nil))),
            Sample(
                name: "GCS38", code: .readGSMEFirmwareVersion, kind: .command,
                content: .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion())),
            Sample(
                name: "GCS38 answer", code: .readGSMEFirmwareVersion, kind: .response,
                content: .gsmeFirmwareVersionResponse(GSMEFirmwareVersionResponse(version: 9))),
            Sample(
                name: "GCS38 refused", code: .readGSMEFirmwareVersion, kind: .response,
                content: .gsmeFirmwareVersionResponse(GSMEFirmwareVersionResponse(version: nil))),
            Sample(
                name: "CS09", code: .ppmidFirmwareAlert, kind: .alert,
                content: .ppmidFirmwareAlert(
                    PPMIDFirmwareAlert(time: time, version: 0x1234_ABCD, result: 1))),
            Sample(
                name: "CCS08", code: .firmwareTransferAlert, kind: .alert,
                content: .firmwareTransferAlert(
                    FirmwareTransferAlert(
                        time: time, device: Parties.esme, version: 8,
                        result: .hardwareVersionMismatch))),
            Sample(
                name: "8F72 in DLMS", code: .firmwareReceiptDLMS, kind: .alert,
                content: .firmwareReceiptAlert(
                    FirmwareReceiptAlert(
                        form: .dlms(invokeID: invokeID, time: cosem), isVerified: true, hash: hash))
            ),
            Sample(
                name: "8F1C in GBZ", code: .firmwareReceiptGBZ, kind: .alert,
                content: .firmwareReceiptAlert(
                    FirmwareReceiptAlert(
                        form: .gbz(secondsSince2000: 0x1C37_4A80), isVerified: false, hash: hash))),
            Sample(
                name: "8F1B in DLMS", code: .genericCriticalAlert, kind: .alert,
                content: .genericAlert(
                    GenericAlert(
                        form: .dlms(invokeID: invokeID, time: cosem),
                        code: .firmwareVerificationFailedAtPowerOn))),
            Sample(
                name: "8F1B in GBZ", code: .genericCriticalAlert, kind: .alert,
                content: .genericAlert(
                    GenericAlert(
                        form: .gbz(secondsSince2000: 1), code: .firmwareVerificationFailedAtPowerOn)
                )),
            Sample(
                name: "8F12", code: .deviceLogAlert, kind: .alert,
                content: .deviceLogAlert(
                    DeviceLogAlert(
                        invokeID: invokeID, time: cosem,
                        entries: [
                            .init(device: Parties.esme, hashedLinkKey: key),
                            .init(device: Parties.gsme),
                        ]))),
        ]
    }()

    /// The message with all that its category demands.
    func message() throws -> GBCSMessage {
        let isCommand = kind == .command
        let remote = code == .addDevice || code == .removeDevice ? Parties.broker : Parties.supplier
        let device = code == .addDevice || code == .removeDevice ? Parties.hub : Parties.esme
        let bare = GBCSMessage(
            header: GroupingHeader(
                kind: kind, counter: 0x0102_0304, originator: isCommand ? remote : device,
                recipient: isCommand ? device : remote, otherInformation: OtherInformation(code)),
            payload: content.encoded())
        let demanded = try #require(Protection.demanded(by: code, kind))
        var made = bare
        if demanded.signature {
            let key = Parties.keys.privateSigningKeys(of: bare.header.originator)
            made = made.signed(by: try #require(key.first))
        }
        if demanded.mac { made = try #require(made.authenticated(with: Parties.keys)) }
        return made
    }
}

@Suite("GBCS messages")
struct MessageTests {
    static func hex(_ text: String) -> [UInt8] { Hex.bytes(text.filter { $0 != " " }) ?? [] }

    static func failure(_ bytes: [UInt8]) -> MessageError? {
        do {
            _ = try GBCSMessage(parsing: bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "each use case is encoded, protected, read, checked and understood", arguments: Sample.all)
    func roundTrip(sample: Sample) throws {
        let made = try sample.message()
        let read = try GBCSMessage(parsing: made.encoded())
        #expect(read == made)
        #expect(try MessageContent(of: read) == sample.content)
        let demanded = read.demandedProtection
        #expect(read.verifySignature(with: Parties.keys) == (demanded.signature ? .valid : .absent))
        #expect(read.verifyMAC(with: Parties.keys) == (demanded.mac ? .valid : .absent))
        #expect(try sample.message().encoded() == made.encoded(), "the same bytes every time")
        #expect(!read.fields(content: sample.content).isEmpty)
    }

    @Test("what a category demands and is missing is invalid", arguments: Sample.all)
    func missing(sample: Sample) throws {
        var message = try sample.message()
        let demanded = message.demandedProtection
        message.signature = .empty
        if demanded.signature { #expect(message.verifySignature(with: Parties.keys) == .invalid) }
        if demanded.mac {
            let bare = message.withoutMAC
            // A command with neither is a pre-command.
            #expect(
                bare.verifyMAC(with: Parties.keys) == (sample.kind == .command ? .absent : .invalid)
            )
        }
        if sample.code == .activateFirmware, sample.kind == .command {
            #expect(try sample.message().withoutMAC.verifyMAC(with: Parties.keys) == .invalid)
        }
    }

    @Test("a response in a command's place is another message, and its MAC is not the command's")
    func swapped() throws {
        let sample = try #require(Sample.all.first { $0.name == "CS08" })
        var message = try sample.message()
        message.header.kind = .response
        #expect(message.verifyMAC(with: Parties.keys) == .invalid)
        #expect(throws: MessageError.self) { try MessageContent(of: message) }
    }

    @Test("a payload cut short or lengthened is refused for its use case", arguments: Sample.all)
    func payloads(sample: Sample) throws {
        var message = try sample.message()
        let whole = message.payload
        let isAssumed = [MessageCode.removeDevice, .deviceLogAlert, .genericCriticalAlert]
            .contains(sample.code)
        for payload in (0..<whole.count).map({ Array(whole[..<$0]) }) + [whole + [0x00]] {
            message.payload = payload
            let content = try? MessageContent(of: message)
            if case .other = content {
                #expect(isAssumed, "\(payload.count)")
            } else if let content {
                // What is left may be a whole one of another form.
                #expect(content.encoded() == payload && content != sample.content)
            }
            #expect(!message.fields(content: nil).isEmpty)
        }
    }

    @Test(
        "other information is kept in every form",
        arguments: [
            "0129", "0129 0247420000000100", "0129 0247420000000100 00000000000003e8",
            "0129 0247420000000100 00000000000003e8 00000000000003e9",
            "0129 0247420000000100 00000000000003e8 3003020101",
            "0129 0247420000000100 00000000000003e8 00000000000003e9 3003020101",
            "0129 ff", "0129 0247420000000100 00000000000003e8 3003020101ff",
        ])
    func otherInformation(text: String) throws {
        let information = Self.hex(text)
        var bytes = Self.hex(
            "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 00")
        bytes += [UInt8(information.count)] + information + Self.hex("02 0500")
        let message = try GBCSMessage(parsing: bytes)
        #expect(message.encoded() == bytes)
        let read = message.header.otherInformation
        #expect(read.certificate.isEmpty == !text.hasSuffix("3003020101"))
        #expect(
            (read.remoteParty == Parties.supplier) == (information.count >= 10 && read.rest.isEmpty)
        )
        #expect((read.originatorCounter == 1001) == text.contains("3e9"))
        #expect(read.rest.isEmpty == !text.hasSuffix("ff"))
    }

    @Test("a length in a longer form than need be is kept")
    func longLengths() throws {
        let bytes = Self.hex(
            "df 09 03 0000000000000001 08 0247420000000002 08 0247420000010001 00"
                + "8102 7777 820003 020100 00")
        let message = try GBCSMessage(parsing: bytes)
        #expect(message.encoded() == bytes)
        #expect(message.header.otherInformation.messageCode.useCase == nil)
        #expect(message.verifySignature(with: Parties.keys) == .invalid)
    }

    @Test(
        "a header that lies is refused, with the offset and the field",
        arguments: [
            ("", 0, "message"), ("30", 0, "message"), ("e0", 0, "message"),
            ("dd00000000000100", 0, "MAC header"), ("dd000000000000 82", 8, "MAC header"),
            ("dd000000000000 05 1100000000 00", 7, "MAC header"),
            ("dd000000000000 05 1000000000", 8, "security header"),
            ("df 08", 1, "transaction id"), ("df 09 04", 2, "CRA flag"),
            ("df 09 01 0000000000000001 07", 11, "originator"),
            ("df 09 01 0000000000000001 08 0247420000000002 09", 20, "recipient"),
            (
                "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 0b", 29,
                "date-time"
            ),
            (
                "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 00 01 00", 31,
                "message code"
            ),
            (
                "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 00 02 0012 85",
                33, "payload length"
            ),
            (
                "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 00 02 0012 "
                    + "00 41",
                34, "signature length"
            ),
            (
                "df 09 01 0000000000000001 08 0247420000000002 08 0247420000010001 00 02 0012 00 00"
                    + "00", 35, "message"
            ),
        ])
    func lies(text: String, offset: Int, field: String) throws {
        let error = try #require(Self.failure(Self.hex(text)))
        #expect(error.offset == offset)
        #expect(error.field.contains(field), "\(error)")
    }

    @Test("DER that is not the shortest, or lies about its lengths, is refused")
    func strictDER() throws {
        let sample = try #require(Sample.all.first { $0.name == "CS08 answer" })
        var message = try sample.message()
        for payload in [
            "300a 0404 00000007 02020000", "308109 0404 00000007 020100",
            "3009 0403 000000 07 020100", "3009 0404 00000007 0201ff",
            "300a 0404 00000007 02020100",
            "3009 0404 00000007 020100 00", "3109 0404 00000007 020100",
            "300b 0404 00000007 020100 0500",
        ] {
            message.payload = Self.hex(payload)
            #expect(throws: MessageError.self, "\(payload)") { try MessageContent(of: message) }
        }
    }

    @Test("a time that there is not is refused")
    func times() throws {
        #expect(GeneralizedTime("2030-02-29T00:00:00Z") == nil)
        #expect(GeneralizedTime("2028-02-29T23:59:59Z")?.description == "2028-02-29T23:59:59Z")
        #expect(GeneralizedTime("2030-01-15 09:00:00Z") == nil)
        #expect(GeneralizedTime("2030-01-15T24:00:00Z") == nil)
        #expect(GeneralizedTime.never.description == "9999-12-31T23:59:59Z")
        #expect(GeneralizedTime.never.secondsSince2000 == nil)
        let last = try #require(GeneralizedTime(secondsSince2000: .max))
        #expect(last.description == "2136-02-07T06:28:15Z" && last.secondsSince2000 == .max)
        #expect(GeneralizedTime(secondsSince2000: 0)?.description == "2000-01-01T00:00:00Z")
        #expect(COSEMDateTime(Sample.time).utc == Sample.time)
    }

    @Test("payloads of unknown use cases are taken apart in their language, and kept")
    func unnamed() throws {
        for (kind, payload, form) in [
            (MessageKind.command, "0109 01 13 0702 0009 00000001 100000 0602", "gbz"),
            (.response, "0109 01 02 0702 000a 010500180100020a0b0c", "gbz"),
            (.alert, "0109 01 8f66 00000001 0e 0012 00000000000003e8 0702 10 00", "gbz"),
            (
                .response, "da 200003e8 00 00 01 0102 02021105 0f80 0202 1200010600000001 01 0100",
                "dlms"
            ),
            (
                .command, "d9 200003e8 00 01 04 0007 0100630200ff 02 02 0204 00 00 00 00 01 00",
                "dlms"
            ),
            (.command, "3006 a1 04 0202 0100", "asn1"), (.command, "a0ff", "bytes"),
            (.command, "", "bytes"),
        ] {
            let message = GBCSMessage(
                header: GroupingHeader(
                    kind: kind, counter: 1, originator: Parties.supplier, recipient: Parties.esme,
                    otherInformation: OtherInformation(MessageCode(rawValue: 0x7777))),
                payload: Self.hex(payload))
            let read = try GBCSMessage(parsing: message.encoded())
            guard case .other(let content) = try MessageContent(of: read) else {
                Issue.record("\(payload) is no use case's")
                continue
            }
            let found =
                switch content {
                case .asn1: "asn1"
                case .dlms: "dlms"
                case .gbz: "gbz"
                case .bytes: "bytes"
                }
            #expect(found == form, "\(payload)")
            #expect(content.encoded() == read.payload)
        }
    }

    @Test("values that lie too deep in each other are refused before the stack ends")
    func depth() {
        var der: [UInt8] = []
        for _ in 0..<2000 {
            let length =
                der.count < 0x80
                ? [UInt8(der.count)] : [0x82, UInt8(der.count >> 8), UInt8(der.count & 0xFF)]
            der =
                [0x30] + (der.count < 0x80 || der.count > 0xFF ? length : [0x81, length[2]]) + der
        }
        #expect(throws: MessageError.self) { try DERValue(parsing: der) }
        let levels: [[UInt8]] = Array(repeating: [0x02, 0x01], count: 4000)
        let dlms = Array(levels.joined()) + [0x00]
        #expect(throws: MessageError.self) { try DLMSData(parsing: dlms) }
    }
}
