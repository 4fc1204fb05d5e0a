import Crypto
import DCC
import DUIS
import GBCS
import Lab
import Wire

extension FuzzTarget {
    /// Service requests and responses, and the files of an XML key store.
    static func duis(_ place: Place) -> [FuzzTarget] {
        // libxml2's context with its buffers, and its tree: an element or a comment of few bytes
        // is some hundred there, and a character of another encoding up to four.
        let memory = MemoryLimit(base: 4 << 20, perByte: 512)
        return [
            FuzzTarget("duis-request", maximumLength: 4096, briefRuns: 4_000, memory: memory) {
                let reader = DUISReader(signatures: .demanded(keys))
                let lenient = DUISReader(signatures: .ignored)
                let seeds =
                    try requests.map { try DUISWriter.request($0, signedBy: signer) }
                    + place.references(in: "duis/templates", suffix: ".XML")
                for seed in seeds { take(seed, reader, lenient) }
                return Prepared(seeds: seeds) { take($0, reader, lenient) }
            },
            FuzzTarget("duis-response", maximumLength: 4096, briefRuns: 4_000, memory: memory) {
                let reader = DUISReader(signatures: .demanded(keys))
                let lenient = DUISReader(signatures: .ignored)
                let seeds = try responses.map {
                    try DUISWriter.response($0, signedBy: keys.dsp)
                }
                for seed in seeds { takeResponse(seed, reader, lenient) }
                return Prepared(seeds: seeds) { takeResponse($0, reader, lenient) }
            },
            FuzzTarget("duis-keys", maximumLength: 2048, briefRuns: 1_500, memory: memory) {
                let entry = XMLKeyMaker(seed: Seed(1)).make(.user, user)
                let seeds =
                    [entry.certificate.der, Array(entry.certificate.pem.utf8)]
                    + (entry.key.map { [$0.pkcs8] } ?? [])
                    + place.references(in: "duis/keys", suffix: ".pem")
                return Prepared(seeds: seeds) { bytes in
                    let keys = XMLKeys(files: [
                        ("a.pem", bytes), ("b.key", bytes), ("dsp-xml-sign-x-ds.pem", bytes),
                    ])
                    for skipped in keys.skipped where skipped.utf8.count > 1_000 {
                        found("a message without end")
                    }
                    for entry in keys.entries {
                        let certificate = entry.certificate
                        guard
                            keys.entry(
                                serial: certificate.serialNumber, issuer: certificate.issuerName)
                                != nil
                        else { found("a certificate is not found by its own number") }
                    }
                }
            },
        ]
    }

    private static let user = EUI64(0x90B3_D51F_3001_0000)
    private static let dsp = EUI64(0x90B3_D51F_3000_0002)
    private static let device = EUI64(0x00DB_1234_5678_90A0)

    private static let keys: XMLKeys = {
        let maker = XMLKeyMaker(seed: Seed(1))
        var keys = XMLKeys()
        keys.add(maker.make(.user, user))
        keys.add(maker.make(.dsp, dsp))
        return keys
    }()

    private static var signer: XMLSigner? { keys.signer(of: user) }

    private static var requests: [ServiceRequest] {
        let bodies: [(String, ServiceRequest.Body)] = [
            (
                "11.1",
                .updateFirmware(
                    FirmwareUpdate(
                        image: Array(0..<100), version: "00000001", devices: [device, user]))
            ),
            ("11.2", .readFirmwareVersion(execution: .never)),
            ("11.3", .activateFirmware(hash: SHA256.digest([]), execution: nil)),
            ("11.3", .signedPreCommand(payload: [0xDF])),
            ("8.2", .readInventory(.property(postCode: "AB1 2CD", address: "1"))),
            (
                "8.4",
                .updateInventory(InventoryUpdate(device: device, change: .importMPxN("1")))
            ),
            (
                "8.11",
                .updateHANDeviceLog(
                    .add(
                        device: device, joinTime: 90, installCode: Array(0..<16),
                        importMPxN: "1"))
            ),
            (
                "12.2",
                .devicePrenotification(
                    DevicePrenotification(
                        device: device, manufacturer: "121D", model: "E", type: .esme,
                        specification: "SMETS V4.2", firmwareVersion: "1", esmeVariant: "A",
                        gpf: user))
            ),
        ]
        return bodies.map { reference, body in
            ServiceRequest(
                id: RequestID(originator: user, target: dsp, counter: 1), commandVariant: 8,
                reference: reference, variant: reference, body: body)
        }
    }

    private static var responses: [ServiceResponse] {
        let id = RequestID(originator: user, target: dsp, counter: 1)
        let time = UTCTime(secondsSince2000: 689_331_600)
        func response(_ body: ServiceResponse.Body) -> ServiceResponse {
            ServiceResponse(
                requestID: id, responseID: id.reversed, code: .success, time: time, body: body)
        }
        func answer(_ payload: ResponsePayload?) -> ServiceResponse {
            response(.response(reference: "11.1", variant: "11.1", payload))
        }
        var warning = FirmwareWarning()
        warning.invalid = [device]
        warning.gbcsVersion = [device, user]
        let inventory = InventoryDevice(
            id: device, type: .esme, status: .commissioned, manufacturer: "121D", model: "E")
        let alerts: [DCCAlert] = [
            .deliveryStatus(
                request: id, hub: dsp, device: device, version: "1", time: time, isSuccess: true),
            .firmwareTransfer(
                hub: dsp, alertCode: 0x8F8A, time: time, request: id, device: device,
                version: "1", result: .success),
            .ppmidUpgrade(
                device: device, alertCode: 0x8F8B, time: time, version: "1", isSuccess: false),
            .firmwareDistributionFailure(request: id, devices: [device]),
        ]
        return [
            answer(nil), answer(.updateFirmwareWarning(warning)), answer(.inventory([inventory])),
            answer(.preCommand(gbcsVersion: "4.3", [0xDF])),
            answer(
                .futureDatedAlert(code: 0x8F66, payload: [1], instruction: 1, instructions: 1)),
            response(.deviceAlert(code: 0x8F72, payload: [0xDF])),
        ] + alerts.map { response(.dccAlert(DCCAlertCode(rawValue: "N60"), $0)) }
    }

    private static func check(_ refusal: DUISRefusal) {
        let words = refusal.detail
        if words.isEmpty || words.utf8.count > 2_000 { found("words of \(words.utf8.count) bytes") }
        if words.contains("\n") { found("a message of several lines") }
    }

    private static func take(_ bytes: [UInt8], _ reader: DUISReader, _ lenient: DUISReader) {
        do throws(DUISRefusal) {
            let received = try lenient.request(bytes)
            if case .other = received.request.body { return }
            guard let written = try? DUISWriter.request(received.request, signedBy: nil) else {
                found("what was read cannot be written")
            }
            guard try lenient.request(written).request == received.request else {
                found("what was written is not read back the same")
            }
        } catch {
            check(error)
        }
        do throws(DUISRefusal) {
            let received = try reader.request(bytes)
            if received.signer != received.request.id.originator { found("somebody else signed") }
        } catch {
            check(error)
        }
    }

    private static func takeResponse(
        _ bytes: [UInt8], _ reader: DUISReader, _ lenient: DUISReader
    ) {
        do throws(DUISRefusal) {
            let received = try lenient.response(bytes)
            guard let written = try? DUISWriter.response(received.response, signedBy: nil) else {
                found("what was read cannot be written")
            }
            guard try lenient.response(written).response == received.response else {
                found("what was written is not read back the same")
            }
        } catch {
            check(error)
        }
        do throws(DUISRefusal) {
            if try reader.response(bytes).signer != dsp { found("somebody else signed") }
        } catch {
            check(error)
        }
    }
}
