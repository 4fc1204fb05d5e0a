import Crypto
import DCC
import GBCS
import Testing
import Wire

@Suite("Commands, responses and alerts")
struct CommandStories {
    private func transform(_ town: inout Town, _ execution: ExecutionTime? = nil) throws -> (
        RequestID, GBCSMessage
    ) {
        let id = town.id(Town.esme)
        let hash = try #require(town.images[Town.esme]).manufacturerImageHash
        let answer = town.submit(
            town.request(id, "11.3", 4, .activateFirmware(hash: hash, execution: execution)))
        guard case .response("11.3", "11.3", .preCommand(let version, let bytes)) = answer.body
        else {
            Issue.record("\(answer)")
            return (id, try GBCSMessage(parsing: []))
        }
        #expect(answer.code == .success && version == "4.0")
        let message = try GBCSMessage(parsing: bytes)
        #expect(message.isPreCommand && message.header.counter == id.counter)
        return (id, message)
    }

    private func signed(_ town: Town, _ id: RequestID, _ message: GBCSMessage) -> ServiceRequest {
        let payload = message.signed(by: Town.key(of: Town.supplier, "signing")).encoded()
        return town.request(id, "11.3", 5, .signedPreCommand(payload: payload))
    }

    @Test("an activation is transformed, signed by its supplier, sent and answered")
    func activation() throws {
        var town = try Town()
        _ = town.update([Town.esme])
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        let hash = try #require(town.images[Town.esme]).manufacturerImageHash
        town.hear(
            .message(
                town.message(
                    .alert, from: Town.esme, to: Town.supplier, counter: 1,
                    OtherInformation(.firmwareReceiptDLMS),
                    .firmwareReceiptAlert(
                        FirmwareReceiptAlert(
                            form: .dlms(
                                invokeID: 0x2000_0001,
                                time: COSEMDateTime(
                                    GeneralizedTime(secondsSince2000: 1_000)!)), isVerified: true,
                            hash: hash)))))
        #expect(town.statuses(of: Town.esme).last == .verified)
        let (id, preCommand) = try transform(&town)
        #expect(town.submit(signed(town, id, preCommand)).code == .acknowledged)
        let sent = try #require(town.sent.last)
        let command = try GBCSMessage(parsing: sent.bytes)
        #expect(sent.device == Town.esme && sent.hub == Town.hub)
        #expect(command.header.counter == id.counter && command.mac != nil)
        #expect(town.statuses(of: Town.esme).last == .activationOrdered)
        town.hear(
            .message(
                town.message(
                    .response, from: Town.esme, to: Town.supplier, counter: id.counter,
                    OtherInformation(.activateFirmware),
                    .activateFirmwareResponse(
                        .executed(ActivationOutcome(result: .success, version: 0x0200_0000))))))
        let notice = try #require(town.notices.last)
        #expect(notice.response.requestID == id && notice.response.code == .success)
        #expect(notice.response.responseID == id.reversed)
        #expect(town.dcc.inventory(of: Town.esme)?.firmware == 0x0200_0000)
        #expect(town.dcc.inventory(of: Town.esme)?.gbcsVersion == "4.1")
        #expect(town.statuses(of: Town.esme).suffix(2) == [.activated, .activated])
        #expect(town.statuses(of: id) == [.commandSent, .activated])
        #expect(!town.dcc.isBusy)
    }

    @Test("a signed pre-command that is not its request's is refused and not sent")
    func wrongPreCommands() throws {
        var town = try Town()
        let (id, message) = try transform(&town)
        func refused(_ change: (inout GBCSMessage) -> Void, by signer: EUI64 = Town.supplier)
            -> String
        {
            var changed = message
            change(&changed)
            let payload = changed.signed(by: Town.key(of: signer, "signing")).encoded()
            var fresh = town
            return fresh.submit(
                town.request(id, "11.3", 5, .signedPreCommand(payload: payload))
            ).code.rawValue
        }
        #expect(refused { _ in } == "I99")
        #expect(refused { $0.header.counter += 1 } == "E53")
        #expect(refused { $0.header.recipient = Town.gsme } == "E53")
        #expect(refused { $0.header.originator = Town.other } == "E53")
        #expect(refused({ _ in }, by: Town.other) == "E53")
        #expect(refused { $0.payload = [0x05, 0x00] } == "E53")
        let unsigned = town.request(id, "11.3", 5, .signedPreCommand(payload: message.encoded()))
        #expect(town.submit(unsigned).code.rawValue == "E53")
        #expect(town.sent.isEmpty)
    }

    @Test("an activation for later is answered twice: taken, and done by 8F66")
    func later() throws {
        var town = try Town()
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 86_400)
        let (id, message) = try transform(&town, .at(moment))
        town.submit(signed(town, id, message))
        town.hear(
            .message(
                town.message(
                    .response, from: Town.esme, to: Town.supplier, counter: id.counter,
                    OtherInformation(.activateFirmware), .activateFirmwareResponse(.accepted))))
        #expect(town.notices.count == 1)
        town.wait(86_400)
        town.restart()
        let alert = town.message(
            .alert, from: Town.esme, to: Town.supplier, counter: 9,
            OtherInformation(.futureDatedFirmwareAlert),
            .futureDatedFirmwareAlert(
                FutureDatedFirmwareAlert(
                    executedAt: GeneralizedTime(secondsSince2000: moment.secondsSince2000)!,
                    originatorCounter: id.counter,
                    outcome: ActivationOutcome(result: .success, version: 0x0200_0000))))
        town.hear(.message(alert))
        town.hear(.message(alert))
        #expect(town.notices.count == 2, "an alert that comes twice is one")
        guard
            case .response("11.3", "11.3", .futureDatedAlert(0x8F66, alert, 1, 1)) = town.notices[1]
                .response.body
        else {
            Issue.record("\(town.notices[1])")
            return
        }
        #expect(town.notices[1].response.requestID == id)
        #expect(town.dcc.inventory(of: Town.esme)?.firmware == 0x0200_0000)
        let past = town.submit(
            town.request(
                town.id(Town.esme), "11.3", 4,
                .activateFirmware(
                    hash: try #require(town.images[Town.esme]).manufacturerImageHash,
                    execution: .at(Town.start))))
        #expect(past.code.rawValue == "E31")
    }

    @Test("an activation for later is pending until 8F67 says that it has failed")
    func failedLater() throws {
        var town = try Town()
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 3_600)
        let (id, message) = try transform(&town, .at(moment))
        town.submit(signed(town, id, message))
        town.hear(
            .message(
                town.message(
                    .response, from: Town.esme, to: Town.supplier, counter: id.counter,
                    OtherInformation(.activateFirmware), .activateFirmwareResponse(.accepted))))
        #expect(town.statuses(of: id) == [.commandSent, .activationPending])
        town.wait(3_600)
        let outcome = ActivationOutcome(result: .noImageHeld, version: 0x0100_0000)
        town.hear(
            .message(
                town.message(
                    .alert, from: Town.esme, to: Town.supplier, counter: 9,
                    OtherInformation(.futureDatedFirmwareAlert),
                    .futureDatedFirmwareAlert(
                        FutureDatedFirmwareAlert(
                            executedAt: GeneralizedTime(secondsSince2000: moment.secondsSince2000)!,
                            originatorCounter: id.counter, outcome: outcome)))))
        guard
            case .response(_, _, .futureDatedAlert(0x8F67, _, _, _))? = town.notices.last?.response
                .body
        else {
            Issue.record("\(town.notices)")
            return
        }
        #expect(town.statuses(of: id).last == .activationFailed)
        #expect(town.dcc.inventory(of: Town.esme)?.firmware != 0x0100_0000)
    }

    @Test("an activation for later whose alert never comes, or that is taken back, ends as well")
    func lostAlert() throws {
        func accepted(_ town: inout Town, _ id: RequestID) {
            town.hear(
                .message(
                    town.message(
                        .response, from: Town.esme, to: Town.supplier, counter: id.counter,
                        OtherInformation(.activateFirmware), .activateFirmwareResponse(.accepted)))
            )
        }
        var town = try Town { $0.commandTimeout = 3_600 }
        _ = town.update([Town.esme])
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        let moment = UTCTime(secondsSince2000: town.now.secondsSince2000 + 86_400)
        let (id, message) = try transform(&town, .at(moment))
        town.submit(signed(town, id, message))
        accepted(&town, id)
        town.restart()
        var other = town

        town.wait(86_400 + 3_599)
        #expect(town.dcc.isBusy)
        town.wait(1)
        #expect(town.notices.last?.response.requestID == id)
        #expect(town.notices.last?.response.code.rawValue == "E21")
        // The device has the image, and can be told again.
        #expect(town.statuses(of: Town.esme).suffix(2) == [.unanswered, .activationPending])
        let (again, order) = try transform(&town)
        #expect(town.submit(signed(town, again, order)).code == .acknowledged)
        town.wait(3_600)
        #expect(town.notices.last?.response.requestID == again)
        #expect(!town.dcc.isBusy)

        let (taken, cancellation) = try transform(&other, .never)
        #expect(other.statuses(of: id).last == .activationPending)
        other.submit(signed(other, taken, cancellation))
        accepted(&other, taken)
        #expect(other.statuses(of: id).last == .notActivated)
        #expect(other.statuses(of: taken).last == .answered)
        // Its image is still at its hub.
        #expect(other.statuses(of: Town.esme).last == .deliveredToHub)
        other.wait(200_000)
        #expect(!other.notices.contains { $0.response.code.rawValue == "E21" })
    }

    @Test("a PPMID's CCS08 and CS09 come to its supplier as alerts, once each, in their order")
    func ppmid() throws {
        var town = try Town()
        _ = town.update([Town.ppmid])
        town.wait(3_600)
        town.hear(.stored(delivery: 1))
        let time = GeneralizedTime(secondsSince2000: town.now.secondsSince2000)!
        let transfer = town.message(
            .alert, from: Town.hub, to: Town.broker, counter: 5,
            OtherInformation(.firmwareTransferAlert),
            .firmwareTransferAlert(
                FirmwareTransferAlert(
                    time: time, device: Town.ppmid, version: 0x0200_0000, result: .success)))
        let activation = town.message(
            .alert, from: Town.ppmid, to: Town.broker, counter: 6,
            OtherInformation(.ppmidFirmwareAlert),
            .ppmidFirmwareAlert(PPMIDFirmwareAlert(time: time, version: 0x0200_0000, result: 0)))
        town.hear(.message(transfer))
        town.hear(.message(activation))
        town.hear(.message(transfer))
        town.hear(.message(activation))
        #expect(town.alerts == ["N60", "N62", "N63"])
        #expect(town.notices.map(\.number) == [1, 2, 3])
        #expect(town.dcc.inventory(of: Town.ppmid)?.firmware == 0x0200_0000)
        #expect(town.records.keys.allSatisfy { ![.update, .progress, .target].contains($0.kind) })
        // Somebody else's signature says nothing.
        var forged = try GBCSMessage(parsing: activation)
        forged.header.counter = 7
        town.hear(.message(forged.signed(by: Town.key(of: Town.gsme, "signing")).encoded()))
        #expect(town.alerts.count == 3)
    }

    @Test("a version that is not the recorded one is told, and ends a suspension")
    func mismatch() throws {
        var town = try Town()
        var device = try #require(town.dcc.inventory(of: Town.hcalcs))
        device.status = .suspended
        device.statusBefore = .installedNotCommissioned
        town.records[DCCRecord.device(device).key] = .device(device)
        town.restart()
        let id = town.id(Town.hcalcs)
        #expect(
            town.submit(
                town.request(id, "11.2", 1, .readFirmwareVersion(execution: nil))
            ).code == .acknowledged)
        let command = try GBCSMessage(parsing: try #require(town.sent.last).bytes)
        #expect(command.header.originator == Town.broker)
        #expect(command.header.otherInformation.remoteParty == Town.supplier)
        #expect(command.header.otherInformation.remotePartyCounter == id.counter)
        town.hear(
            .message(
                town.message(
                    .response, from: Town.hcalcs, to: Town.broker, counter: command.header.counter,
                    command.header.otherInformation,
                    .firmwareVersionResponse(FirmwareVersionResponse(version: 0x0200_0000)))))
        #expect(town.notices.first?.response.requestID == id)
        #expect(town.alerts == ["N49"])
        #expect(town.dcc.inventory(of: Town.hcalcs)?.status == .installedNotCommissioned)
        #expect(town.dcc.inventory(of: Town.hcalcs)?.firmware == 0x0200_0000)
    }

    @Test("a device that does not answer is told of by E21, once")
    func silence() throws {
        var town = try Town { $0.commandTimeout = 60 }
        let id = town.id(Town.gsme)
        town.submit(town.request(id, "11.2", 1, .readFirmwareVersion(execution: nil)))
        town.wait(60)
        town.wait(600)
        #expect(town.notices.map(\.response.code.rawValue) == ["E21"])
        #expect(town.notices.first?.response.requestID == id)
    }

    @Test("a device is notified, logged, joins, is changed, read and taken out again")
    func life() throws {
        var town = try Town()
        let new = EUI64(0x00DB_0000_0000_0777)
        let notification = DevicePrenotification(
            device: new, manufacturer: "FFF1", model: "PPMID 1", type: .ppmid,
            firmwareVersion: "01000001")
        func submit(_ variant: String, _ body: ServiceRequest.Body, target: EUI64 = Town.broker)
            -> String
        {
            town.submit(
                town.request(
                    town.id(target), variant, variant == "8.11" ? 1 : 8, body)
            ).code.rawValue
        }
        #expect(submit("12.2", .devicePrenotification(notification)) == "I99")
        #expect(submit("12.2", .devicePrenotification(notification)) == "E120201")
        #expect(
            submit(
                "8.11",
                .updateHANDeviceLog(
                    .add(
                        device: new, joinTime: 90, installCode: [UInt8](repeating: 7, count: 16),
                        importMPxN: nil)), target: Town.hub) == "I99")
        let command = try GBCSMessage(parsing: try #require(town.sent.last).bytes)
        guard case .addDevice(let add) = try MessageContent(of: command) else {
            Issue.record("\(command)")
            return
        }
        #expect(add.device == new && add.joinTime == 90)
        town.hear(
            .message(
                town.message(
                    .response, from: Town.hub, to: Town.broker, counter: command.header.counter,
                    command.header.otherInformation,
                    .deviceLogResponse(
                        DeviceLogResponse(adding: true, invokeID: add.invokeID, results: [0, 0, 0]))
                )))
        #expect(town.dcc.inventory(of: new)?.status == .whitelisted)
        #expect(town.dcc.inventory(of: new)?.hub == Town.hub)
        town.hear(
            .message(
                town.message(
                    .alert, from: Town.hub, to: Town.broker, counter: 3,
                    OtherInformation(.deviceLogAlert),
                    .deviceLogAlert(
                        DeviceLogAlert(
                            invokeID: 1,
                            time: COSEMDateTime(GeneralizedTime(secondsSince2000: 1_000)!),
                            entries: [DeviceLogAlert.Entry(device: new)])))))
        #expect(town.dcc.inventory(of: new)?.status == .commissioned)
        let read = town.submit(
            town.request(town.id(), "8.2", 8, .readInventory(.device(Town.hub))))
        guard case .response("8.2", "8.2", .inventory(let devices)) = read.body else {
            Issue.record("\(read)")
            return
        }
        #expect(read.code == .success && devices.count == 8 && devices[0].id == Town.hub)
        #expect(
            submit("8.4", .updateInventory(InventoryUpdate(device: new, change: .delete)))
                == "E080405")
        #expect(
            submit(
                "8.4", .updateInventory(InventoryUpdate(device: new, change: .status(.pending))))
                == "I99")
        #expect(
            submit("8.4", .updateInventory(InventoryUpdate(device: new, change: .delete)))
                == "I99")
        town.restart()
        #expect(town.dcc.inventory(of: new) == nil)
    }

    @Test("what a hub runs now is told to its suppliers, and its devices may be updated")
    func hubActivation() throws {
        var town = try Town(hubVersion: "3.2")
        #expect(town.update([Town.ppmid]).warning?.gbcsVersion == [Town.ppmid])
        town.hear(
            .message(
                town.message(
                    .response, from: Town.hub, to: Town.wanProvider, counter: 77,
                    OtherInformation(.activateFirmware),
                    .activateFirmwareResponse(
                        .executed(ActivationOutcome(result: .success, version: 0x0200_0000))))))
        #expect(town.alerts == ["N64"])
        #expect(town.dcc.inventory(of: Town.gpf)?.firmware == 0x0200_0000)
        #expect(town.update([Town.ppmid]).code == .acknowledged)
    }

    @Test("a request of the wrong variant, at the wrong door or of nobody's is refused")
    func doors() throws {
        var town = try Town()
        let read = town.request(
            town.id(), "8.2", 8, .readInventory(.device(Town.hub)))
        #expect(town.submit(read, over: .sendCommand).code.rawValue == "E13")
        var wrong = read
        wrong.commandVariant = 1
        #expect(town.submit(wrong).code.rawValue == "E12")
        wrong = read
        wrong.variant = "4.1.1"
        #expect(town.submit(wrong).code.rawValue == "E52")
        let ihd = town.request(
            town.id(Town.ihd), "11.2", 1, .readFirmwareVersion(execution: nil))
        #expect(town.submit(ihd).code.rawValue == "E11")
    }
}
