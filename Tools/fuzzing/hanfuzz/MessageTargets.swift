import Crypto
import Devices
import GBCS
import Lab
import Radio
import Wire

extension FuzzTarget {
    /// GBCS messages, and what is in them.
    static func messages(_ place: Place) -> [FuzzTarget] {
        // Each field that is shown has a name and texts of its own.
        let memory = MemoryLimit(base: 512 << 10, perByte: 2048)
        return [
            FuzzTarget("gbcs-message", maximumLength: 2048, briefRuns: 20_000, memory: memory) {
                let keys = keyStore
                let seeds = messageSeeds(place)
                // libcrypto fetches its algorithms when they are first needed.
                for seed in seeds { take(seed, keys) }
                return Prepared(seeds: seeds) { take($0, keys) }
            },
            FuzzTarget("gbcs-payload", maximumLength: 1024, briefRuns: 4_000, memory: memory) {
                let bare = messageSeeds(place).compactMap { try? GBCSMessage(parsing: $0) }
                let kinds = Set(
                    bare.map { Headed(code: $0.header.otherInformation, $0.header.kind) })
                let headers = kinds.sorted { $0.name < $1.name }
                return Prepared(seeds: bare.map(\.payload)) { bytes in
                    for head in headers { look(into: head.message(bytes)) }
                }
            },
            FuzzTarget("gbcs-device", maximumLength: 2048, briefRuns: 2_000, memory: memory) {
                let desk = MessageDesk(parties: parties, entities: [device])
                var making = desk
                let command = making.command(
                    .activateFirmware, by: MessageParties.supplier(1), to: device,
                    at: UTCTime(secondsSince2000: 1)
                ) {
                    .activateFirmware(
                        ActivateFirmware(
                            hash: SHA256.digest([]), originatorCounter: $0, executionTime: .never))
                }
                let application = MessageApplication(
                    parties.identity(of: device, as: .esme), as: .esme, firmware: 1,
                    settings: MessageSettings(), records: .init(from: 5))
                hear(command, application, desk)
                return Prepared(seeds: messageSeeds(place) + [command]) {
                    hear($0, application, desk)
                }
            },
            FuzzTarget("messages-underway", maximumLength: 2048) {
                var seed = MessagesUnderway()
                for (number, bytes) in messageSeeds(place).prefix(6).enumerated() {
                    let places: [MessagesUnderway.Entry.Place] = [.device, .toDevice, .toCSP]
                    seed.entries.append(
                        .init(place: places[number % 3], device: device, bytes: bytes))
                }
                return Prepared(seeds: [seed.bytes, MessagesUnderway().bytes]) { bytes in
                    guard let messages = try? MessagesUnderway(parsing: bytes) else { return }
                    guard messages.bytes == bytes else {
                        found("messages on their way are not written as they were read")
                    }
                }
            },
        ]
    }

    private static let parties = MessageParties(seed: Seed(1))

    /// A device takes the bytes as a message, and then their payload in one that is signed and
    /// authenticated as it should be.
    private static func hear(
        _ bytes: [UInt8], _ application: MessageApplication, _ desk: MessageDesk
    ) {
        var (application, desk) = (application, desk)
        let flash = Flash(geometry: FlashGeometry(size: 8 * 4096))
        var out = Outbox()
        out.flash = flash.view
        var journal = Journal(firstPage: 0, pagesPerArea: 2, geometry: flash.geometry)
        journal.open(&out)
        _ = application.receive(bytes, &journal, &out)
        guard let message = try? GBCSMessage(parsing: bytes) else { return }
        let whole = desk.command(
            message.header.otherInformation.messageCode, by: MessageParties.supplier(1),
            to: device, at: UTCTime(secondsSince2000: 2)
        ) { _ in .other(.bytes(message.payload)) }
        _ = application.receive(whole, &journal, &out)
        if application.receive(whole, &journal, &out) != nil { found("a replay is let in") }
        while let answer = application.takeMessage() {
            if desk.read(answer).verdict != .valid { found("an answer that is not valid") }
        }
    }

    private struct Headed: Hashable {
        var code: OtherInformation
        var kind: MessageKind

        init(code: OtherInformation, _ kind: MessageKind) {
            self.code = OtherInformation(code.messageCode)
            self.kind = kind
        }

        var name: String { "\(code.messageCode) \(kind.rawValue)" }

        func message(_ payload: [UInt8]) -> GBCSMessage {
            GBCSMessage(
                header: GroupingHeader(
                    kind: kind, counter: 1, originator: supplier, recipient: device,
                    otherInformation: code), payload: payload)
        }
    }

    private static let supplier = EUI64(0x0247_4200_0000_0100)
    private static let device = EUI64(0x0247_4200_0001_0001)

    private static var keyStore: KeyStore {
        var keys = KeyStore()
        for party in [supplier, device] {
            keys.add(key(), of: party, for: .signing)
            keys.add(key(), of: party, for: .agreement)
        }
        keys.set(.accessControlBroker, of: supplier)
        keys.setDevice(device)
        return keys
    }

    private static func take(_ bytes: [UInt8], _ keys: KeyStore) {
        let message: GBCSMessage
        do {
            message = try GBCSMessage(parsing: bytes)
        } catch {
            if error.offset > bytes.count { found("an error behind the end: \(error)") }
            if error.description.utf8.count > 1000 { found("a message without end") }
            return
        }
        if message.encoded() != bytes {
            found("a message is written differently from how it was read")
        }
        look(into: message)
        // Costs much and comes to the same for most inputs.
        if bytes.count % 8 == 0 {
            _ = message.verifySignature(with: keys)
            _ = message.verifyMAC(with: keys)
        }
    }

    private static func look(into message: GBCSMessage) {
        do {
            let content = try MessageContent(of: message)
            if content.encoded() != message.payload {
                found("a payload is written differently from how it was read")
            }
            _ = message.fields(content: content)
        } catch {
            if error.description.utf8.count > 1000 { found("a message without end") }
            _ = message.fields(content: nil)
        }
    }

    private static func messageSeeds(_ place: Place) -> [[UInt8]] {
        let time = GeneralizedTime.never
        let hash = SHA256.digest([])
        let form = AlertForm.dlms(invokeID: 1, time: COSEMDateTime(time))
        let outcome = ActivationOutcome(result: .success, version: 1)
        let contents: [(MessageCode, MessageKind, MessageContent)] = [
            (
                .addDevice, .command,
                .addDevice(
                    AddDevice(
                        invokeID: 1, device: device, installCode: Array(0..<16), joinTime: 90))
            ),
            (.removeDevice, .command, .removeDevice(RemoveDevice(invokeID: 1, device: device))),
            (
                .addDevice, .response,
                .deviceLogResponse(
                    DeviceLogResponse(adding: true, invokeID: 1, results: [0, 0, 0]))
            ),
            (
                .activateFirmware, .command,
                .activateFirmware(
                    ActivateFirmware(hash: hash, originatorCounter: 1, executionTime: time))
            ),
            (
                .activateFirmware, .response,
                .activateFirmwareResponse(.executed(outcome))
            ),
            (
                .futureDatedFirmwareAlert, .alert,
                .futureDatedFirmwareAlert(
                    FutureDatedFirmwareAlert(
                        executedAt: time, originatorCounter: 1, outcome: outcome))
            ),
            (
                .readHANDeviceFirmwareVersion, .response,
                .firmwareVersionResponse(FirmwareVersionResponse(version: 1))
            ),
            (
                .readESMEFirmwareVersion, .command,
                .readESMEFirmwareVersion(ReadESMEFirmwareVersion(invokeID: 1))
            ),
            (
                .readESMEFirmwareVersion, .response,
                .esmeFirmwareVersionResponse(ESMEFirmwareVersionResponse(invokeID: 1, version: 1))
            ),
            (
                .readGSMEFirmwareVersion, .command,
                .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion())
            ),
            (
                .readGSMEFirmwareVersion, .response,
                .gsmeFirmwareVersionResponse(GSMEFirmwareVersionResponse(version: 1))
            ),
            (
                .ppmidFirmwareAlert, .alert,
                .ppmidFirmwareAlert(PPMIDFirmwareAlert(time: time, version: 1, result: 0))
            ),
            (
                .firmwareTransferAlert, .alert,
                .firmwareTransferAlert(
                    FirmwareTransferAlert(
                        time: time, device: device, version: 1, result: .success))
            ),
            (
                .firmwareReceiptDLMS, .alert,
                .firmwareReceiptAlert(
                    FirmwareReceiptAlert(form: form, isVerified: true, hash: hash))
            ),
            (
                .firmwareReceiptGBZ, .alert,
                .firmwareReceiptAlert(
                    FirmwareReceiptAlert(
                        form: .gbz(secondsSince2000: 1), isVerified: true, hash: hash))
            ),
            (
                .genericCriticalAlert, .alert,
                .genericAlert(GenericAlert(form: form, code: .firmwareVerified))
            ),
            (
                .deviceLogAlert, .alert,
                .deviceLogAlert(
                    DeviceLogAlert(
                        invokeID: 1, time: COSEMDateTime(time),
                        entries: [.init(device: device)]))
            ),
        ]
        let keys = keyStore
        let made = contents.map { code, kind, content in
            let isCommand = kind == .command
            let message = GBCSMessage(
                header: GroupingHeader(
                    kind: kind, counter: 1, originator: isCommand ? supplier : device,
                    recipient: isCommand ? device : supplier,
                    otherInformation: OtherInformation(
                        code, remoteParty: supplier, remotePartyCounter: 2)),
                payload: content.encoded()
            ).signed(by: key())
            return (message.authenticated(with: keys) ?? message).encoded()
        }
        let published = place.references(in: "rtds", suffix: ".HEX").compactMap { text in
            Hex.bytes(String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace })
        }
        return made + published
    }
}
