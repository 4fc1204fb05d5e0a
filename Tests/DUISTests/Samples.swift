import Crypto
import DCC
import DUIS
import Foundation
import TestSupport
import Wire

/// Who takes part in these tests.
enum Parties {
    static let user = EUI64(0x90B3_D51F_3001_0000)
    static let otherUser = EUI64(0x90B3_D51F_3002_0000)
    static let dsp = EUI64(0x90B3_D51F_3000_0002)
    static let hub = EUI64(0x00DB_1234_5678_90A2)
    static let device = EUI64(0x00DB_1234_5678_90A0)

    static let maker = XMLKeyMaker(seed: Seed(7))

    static let keys: XMLKeys = {
        var keys = XMLKeys()
        keys.add(maker.make(.user, user))
        keys.add(maker.make(.user, otherUser))
        keys.add(maker.make(.dsp, dsp))
        return keys
    }()

    static let reader = DUISReader(signatures: .demanded(keys))
    static let lenient = DUISReader(signatures: .ignored)
}

enum Samples {
    static func id(to target: EUI64 = Parties.dsp, _ counter: UInt64 = 1000) -> RequestID {
        RequestID(originator: Parties.user, target: target, counter: counter)
    }

    static func request(
        _ reference: String, _ body: ServiceRequest.Body, to target: EUI64 = Parties.dsp,
        variant: UInt8 = 8
    ) -> ServiceRequest {
        ServiceRequest(
            id: id(to: target), commandVariant: variant, reference: reference, variant: reference,
            body: body)
    }

    static let time = UTCTime(secondsSince2000: 689_331_600)
    static let hash = SHA256.digest([1, 2, 3])

    static func update(_ count: Int = 3, image: [UInt8] = Array(0...200)) -> FirmwareUpdate {
        FirmwareUpdate(
            image: image, version: "ACDCACDC",
            devices: (0..<UInt64(count)).map { EUI64(Parties.device.rawValue + $0) })
    }

    /// One of every body that is read.
    static let requests: [ServiceRequest] = [
        request("11.1", .updateFirmware(update())),
        request(
            "11.1", .updateFirmware(update(2_000, image: [UInt8](repeating: 9, count: 20_000)))),
        request("11.1", .updateFirmware(update(1, image: []))),
        request("11.4", .updatePPMIDFirmware(update(1))),
        request("11.2", .readFirmwareVersion(execution: nil), to: Parties.device, variant: 1),
        request("11.2", .readFirmwareVersion(execution: .at(time)), to: Parties.device, variant: 1),
        request(
            "11.3", .activateFirmware(hash: hash, execution: nil), to: Parties.device, variant: 4),
        request("11.3", .activateFirmware(hash: hash, execution: .at(time)), variant: 4),
        request("11.3", .activateFirmware(hash: hash, execution: .never), variant: 4),
        request("11.3", .signedPreCommand(payload: [0xDF, 1, 2, 0x40]), variant: 5),
        request(
            "12.2",
            .devicePrenotification(
                DevicePrenotification(
                    device: Parties.device, manufacturer: "121D", model: "a & b <c>", type: .esme,
                    specification: "SMETS V4.2", firmwareVersion: "0002012F", esmeVariant: "AD",
                    gpf: Parties.hub))),
        request(
            "12.2",
            .devicePrenotification(
                DevicePrenotification(
                    device: Parties.device, manufacturer: "", model: "Zähler", type: .ihd))),
        request(
            "8.11",
            .updateHANDeviceLog(
                .add(
                    device: Parties.device, joinTime: 3600, installCode: Array(0..<16),
                    importMPxN: "1312345678111")), to: Parties.hub, variant: 1),
        request("8.11", .updateHANDeviceLog(.remove(device: Parties.device)), variant: 1),
        request("8.4", .updateInventory(change(.status(.pending)))),
        request("8.4", .updateInventory(change(.hubStatus(.withdrawn)))),
        request("8.4", .updateInventory(change(.delete))),
        request("8.4", .updateInventory(change(.importMPxN(" 1")))),
        request("8.4", .updateInventory(change(.secondaryImportMPAN("1312345678111")))),
        request("8.4", .updateInventory(change(.exportMPAN("1312345678111")))),
        request(
            "8.4",
            .updateInventory(
                change(
                    .details(
                        manufacturer: "121D", model: "X", specification: "SMETS V4.2",
                        firmware: "00000001", esmeVariant: "BD")))),
        request(
            "8.4",
            .updateInventory(
                change(
                    .details(
                        manufacturer: nil, model: nil, specification: nil, firmware: nil,
                        esmeVariant: nil)))),
        request("8.2", .readInventory(.device(Parties.device))),
        request("8.2", .readInventory(.mpxn("1312345678111"))),
        request("8.2", .readInventory(.uprn("999999999999"))),
        request("8.2", .readInventory(.property(postCode: "AB1 2CD", address: "The Hut"))),
    ]

    private static func change(_ change: InventoryUpdate.Change) -> InventoryUpdate {
        InventoryUpdate(device: Parties.device, change: change)
    }

    // MARK: Responses

    static func response(
        _ body: ServiceResponse.Body, code: ResponseCode = .success, isAlert: Bool = false
    ) -> ServiceResponse {
        ServiceResponse(
            requestID: isAlert ? nil : id(), responseID: isAlert ? id().reversed : nil, code: code,
            time: time, body: body)
    }

    static let warning: FirmwareWarning = {
        var warning = FirmwareWarning()
        warning.invalid = [Parties.device, Parties.hub]
        warning.notCommissioned = [Parties.device]
        warning.notApplicable = [Parties.hub]
        warning.otherRequest = [Parties.user]
        warning.gbcsVersion = [Parties.dsp]
        return warning
    }()

    static let inventory: [InventoryDevice] = {
        var full = InventoryDevice(
            id: Parties.device, type: .esme, status: .commissioned, manufacturer: "121D",
            model: "E1")
        full.specification = "SMETS V4.2"
        full.firmware = 0xACDC_ACDC
        full.esmeVariant = "AD"
        full.gbcsVersion = "4.0"
        full.region = "4G North"
        full.importMPxN = "1312345678111"
        full.secondaryImportMPAN = "1312345678222"
        full.exportMPAN = "1312345678333"
        full.uprn = "123456789012"
        full.postCode = "AB1 2CD"
        full.address = "1"
        return [full]
            + InventoryType.allCases.map {
                InventoryDevice(
                    id: Parties.hub, type: $0, status: .whitelisted, manufacturer: "", model: "")
            }
    }()

    static let alerts: [(DCCAlertCode, DCCAlert)] =
        [
            (
                DCCAlertCode(rawValue: "N60"),
                .deliveryStatus(
                    request: id(), hub: Parties.hub, device: Parties.device, version: "ACDCACDC",
                    time: time, isSuccess: true)
            ),
            (
                DCCAlertCode(rawValue: "N61"),
                .deliveryStatus(
                    request: id(), hub: Parties.hub, device: Parties.device, version: "1",
                    time: time,
                    isSuccess: false)
            ),
            (
                DCCAlertCode(rawValue: "N63"),
                .ppmidUpgrade(
                    device: Parties.device, alertCode: 0x8F8B, time: nil, version: "00000001",
                    isSuccess: false)
            ),
            (
                DCCAlertCode(rawValue: "N63"),
                .ppmidUpgrade(
                    device: Parties.device, alertCode: 0x8F8B, time: time, version: "00000001",
                    isSuccess: true)
            ),
            (
                DCCAlertCode(rawValue: "N49"),
                .firmwareVersionMismatch(
                    device: Parties.device, type: .gsme, recorded: "00000001", reported: "00000002")
            ),
            (
                DCCAlertCode(rawValue: "N18"),
                .firmwareDistributionFailure(request: id(), devices: [Parties.device, Parties.hub])
            ),
            (
                DCCAlertCode(rawValue: "N64"),
                .hubFirmwareActivation(device: Parties.hub, version: "00000002")
            ),
        ]
        + TransferResult.allCases.map { result in
            (
                DCCAlertCode(rawValue: "N62"),
                .firmwareTransfer(
                    hub: Parties.hub, alertCode: 0x8F8A,
                    time: result == .success ? time : nil,
                    request: result == .success ? id() : nil, device: Parties.device,
                    version: "00000002", result: result)
            )
        }

    /// One of every payload and every alert.
    static let responses: [ServiceResponse] = {
        func answer(_ reference: String, _ payload: ResponsePayload?) -> ServiceResponse {
            response(.response(reference: reference, variant: reference, payload))
        }
        var later = answer("11.2", .gbcs([0xDD, 0, 1]))
        later.responseID = id().reversed
        var refusal = answer("11.1", nil)
        refusal.requestID = nil
        refusal.code = ResponseCode(rawValue: "E110105")
        return [
            answer("11.1", nil), answer("11.1", .updateFirmwareWarning(warning)),
            answer("11.4", .updatePPMIDFirmwareWarning(warning)),
            answer("11.4", .updatePPMIDFirmwareWarning(FirmwareWarning())),
            answer("8.2", .inventory(inventory)), later,
            answer(
                "11.3",
                .futureDatedAlert(
                    code: 0x8F66, payload: [1], instruction: 1, instructions: 65_535)),
            answer("11.3", .preCommand(gbcsVersion: "4.3", [0xDF, 2])), refusal,
            response(.deviceAlert(code: 0x8F72, payload: [0xDF]), isAlert: true),
            response(.deviceAlert(code: 0x0001, payload: []), isAlert: true),
        ] + alerts.map { response(.dccAlert($0.0, $0.1), isAlert: true) }
    }()

    // MARK: Bytes

    static func signed(_ request: ServiceRequest, by user: EUI64 = Parties.user) throws -> [UInt8] {
        try DUISWriter.request(request, signedBy: Parties.keys.signer(of: user))
    }

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Whatever is between the tags of the body, put into a request without a signature.
    static func unsigned(body: String, reference: String = "8.4") -> [UInt8] {
        Array(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" \
            schemaVersion="5.4">
              <sr:Header>
                <sr:RequestID>\(id())</sr:RequestID>
                <sr:CommandVariant>8</sr:CommandVariant>
                <sr:ServiceReference>\(reference)</sr:ServiceReference>
                <sr:ServiceReferenceVariant>\(reference)</sr:ServiceReferenceVariant>
              </sr:Header>
              <sr:Body>\(body)</sr:Body>
            </sr:Request>
            """.utf8)
    }
}

/// The refusal that reading ends with; nil if it does not.
func refusal(_ bytes: [UInt8], _ reader: DUISReader = Parties.reader) -> DUISRefusal? {
    do throws(DUISRefusal) {
        _ = try reader.request(bytes)
        return nil
    } catch {
        return error
    }
}
