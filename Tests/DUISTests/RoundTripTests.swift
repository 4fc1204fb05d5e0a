import Crypto
import DCC
import DUIS
import Testing
import Wire

@Suite("DUIS written and read")
struct RoundTripTests {
    @Test(
        "a request of every kind is read as it was written, and its signer is told",
        arguments: Samples.requests)
    func requests(request: ServiceRequest) throws {
        let received = try Parties.reader.request(try Samples.signed(request))
        #expect(received.request == request)
        #expect(received.signer == Parties.user)
        #expect(received.idText == "\(request.id)")
    }

    @Test(
        "a request without a signature is read where nobody asks for one, and refused elsewhere",
        arguments: Samples.requests)
    func unsigned(request: ServiceRequest) throws {
        let bytes = try DUISWriter.request(request, signedBy: nil)
        let received = try Parties.lenient.request(bytes)
        #expect(received.request == request)
        #expect(received.signer == nil)
        let refused = try #require(refusal(bytes))
        #expect(refused.situation == .unsigned)
        #expect(refused.header.id == request.id)
        #expect(refused.header.reference == request.reference)
        #expect(refused.header.variant == request.variant)
    }

    @Test(
        "a response or an alert of every kind is read as it was written, signed by the DSP",
        arguments: Samples.responses)
    func responses(response: ServiceResponse) throws {
        let bytes = try DUISWriter.response(response, signedBy: Parties.keys.dsp)
        #expect(Parties.reader.kind(of: bytes) == .response)
        let received = try Parties.reader.response(bytes)
        #expect(received.response == response)
        #expect(received.signer == Parties.dsp)
        #expect(received.schemaVersion == "5.4")
        let unsigned = try DUISWriter.response(response, signedBy: nil)
        #expect(try Parties.lenient.response(unsigned).response == response)
    }

    @Test("an answer repeats the request's id as its user wrote it, small letters and all")
    func idText() throws {
        let text = "90-b3-d5-1f-30-01-00-00:90-B3-d5-1f-30-00-00-02:1000"
        let bytes = Samples.text(
            Samples.unsigned(body: "<sr:ReadInventory><sr:MPxN>1</sr:MPxN></sr:ReadInventory>")
        ).replacing("\(Samples.id())", with: " \n\(text) ")
        let received = try Parties.lenient.request(Array(bytes.utf8))
        #expect(received.idText == text)
        #expect(received.request.id == Samples.id())
        let answer = try DUISWriter.response(
            Samples.responses[0], requestIDText: received.idText, signedBy: Parties.keys.dsp)
        #expect(Samples.text(answer).contains("<sr:RequestID>\(text)</sr:RequestID>"))
        #expect(try Parties.reader.response(answer).requestIDText == text)
        // Somebody else's text is not put into it.
        let other = try DUISWriter.response(
            Samples.responses[0], requestIDText: "<x>", signedBy: nil)
        #expect(Samples.text(other).contains("<sr:RequestID>\(Samples.id())</sr:RequestID>"))
    }

    @Test("times are written as the public samples have them")
    func times() throws {
        let bytes = try DUISWriter.response(Samples.responses[0], signedBy: nil)
        #expect(
            Samples.text(bytes).contains(
                "<sr:ResponseDateTime>2021-11-04T09:00:00Z</sr:ResponseDateTime>"))
        #expect(Samples.text(bytes).contains("<sr:Response "))
        #expect(Samples.text(bytes).contains("schemaVersion=\"5.4\""))
    }

    @Test(
        "dates in any form that the schema allows come out as one moment, and others are refused",
        arguments: [
            ("2030-01-15T09:00:00.00Z", 948_013_200), ("2030-01-15T10:00:00+01:00", 948_013_200),
            ("2030-01-14T19:00:00-14:00", 948_013_200), ("2030-01-15T09:00:00", 948_013_200),
            ("2030-01-14T24:00:00Z", 947_980_800), ("1999-12-31T23:59:59Z", 0),
            ("-2030-01-15T09:00:00Z", 0), ("2137-01-01T00:00:00Z", Int(UInt32.max)),
            ("2500-01-01T00:00:00Z", Int(UInt32.max)), ("2000-02-29T00:00:00Z", 5_097_600),
            ("2030-02-29T00:00:00Z", nil), ("2030-01-15T09:00:60Z", nil), ("2030-01-15", nil),
            ("2030-01-15T09:00:00.Z", nil), ("2030-01-15T09:00:00+14:01", nil),
            ("02030-01-15T09:00:00Z", nil), ("0000-01-15T09:00:00Z", nil), ("", nil),
            ("2030-1-15T09:00:00Z", nil), ("2030-01-15T24:00:01Z", nil), ("tomorrow", nil),
        ] as [(String, Int?)])
    func dates(text: String, seconds: Int?) throws {
        let bytes = Samples.unsigned(
            body: """
                <sr:ReadFirmwareVersion><sr:ExecutionDateTime>\(text)</sr:ExecutionDateTime>\
                </sr:ReadFirmwareVersion>
                """)
        guard let seconds else {
            let refused = try #require(refusal(bytes, Parties.lenient))
            #expect(refused.situation == .malformed)
            #expect(refused.detail.contains("ExecutionDateTime (line 9): found '\(text)'"))
            return
        }
        let body = try Parties.lenient.request(bytes).request.body
        let time = UTCTime(secondsSince2000: UInt32(seconds))
        #expect(body == .readFirmwareVersion(execution: .at(time)))
    }

    @Test(
        "prefixes of any name, or none, and comments between elements change nothing"
    )
    func prefixes() throws {
        let request = Samples.requests[12]
        let plain = Samples.text(try DUISWriter.request(request, signedBy: nil))
        let variants = [
            plain.replacing("sr:", with: "x:").replacing("xmlns:sr", with: "xmlns:x"),
            plain.replacing("<sr:", with: "<").replacing("</sr:", with: "</")
                .replacing("xmlns:sr", with: "xmlns"),
            plain.replacing("><", with: "><!-- a --><?b c?><"),
            plain.replacing(">\n", with: ">\n\t <!-- <sr:Body/> --> \r\n"),
            plain.replacing("FF", with: "FF"), "\u{FEFF}" + plain,
            plain.replacing("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", with: ""),
            plain.replacing("<sr:Body>", with: "<sr:Body xmlns:other='urn:other'>"),
        ]
        for variant in variants {
            #expect(
                try Parties.lenient.request(Array(variant.utf8)).request == request, "\(variant)")
        }
    }

    @Test("a body that this DSP does not serve is told by its name")
    func otherBody() throws {
        let bytes = Samples.unsigned(
            body: "<sr:DisplayMessage><sr:Anything a='b'>1</sr:Anything></sr:DisplayMessage>",
            reference: "3.1")
        #expect(try Parties.lenient.request(bytes).request.body == .other("DisplayMessage"))
        let unknown = Samples.unsigned(body: "<sr:MakeTea/>", reference: "3.1")
        #expect(refusal(unknown, Parties.lenient)?.detail.contains("Request/Body/MakeTea") == true)
        #expect(throws: DUISWriteError.self) {
            try DUISWriter.request(
                Samples.request("3.1", .other("DisplayMessage")), signedBy: nil)
        }
    }

    @Test(
        "what the schema has no room for is not written",
        arguments: [
            Samples.response(.response(reference: "11.1", variant: "11.9", nil)),
            Samples.response(.response(reference: "9.9", variant: "11.1", nil)),
            Samples.response(
                .response(reference: "11.1", variant: "11.1", nil),
                code: ResponseCode(rawValue: "E7")),
            Samples.response(
                .dccAlert(
                    DCCAlertCode(rawValue: "N66"),
                    .hubFirmwareActivation(device: Parties.hub, version: "02000100"))),
            Samples.response(
                .dccAlert(
                    DCCAlertCode(rawValue: "N18"),
                    .firmwareDistributionFailure(request: Samples.id(), devices: []))),
        ])
    func unwritable(response: ServiceResponse) {
        #expect(throws: DUISWriteError.self) {
            try DUISWriter.response(response, signedBy: nil)
        }
    }

    @Test("an inventory's odd values are cut or left out, so that the answer stays of the schema")
    func oddInventory() throws {
        var odd = InventoryDevice(
            id: Parties.device, type: .esme, status: .pending,
            manufacturer: String(repeating: "é", count: 40), model: "a\u{1}b")
        odd.specification = ""
        odd.esmeVariant = "Z"
        odd.region = "Mars"
        odd.importMPxN = ""
        odd.exportMPAN = "1"
        odd.uprn = "0"
        odd.postCode = "A"
        let answer = Samples.response(
            .response(
                reference: "8.2", variant: "8.2",
                .inventory([InventoryDevice](repeating: odd, count: 30))))
        let bytes = try DUISWriter.response(answer, signedBy: Parties.keys.dsp)
        let read = try Parties.reader.response(bytes).response
        guard case .response(_, _, .inventory(let devices)?) = read.body else {
            Issue.record("\(read.body)")
            return
        }
        #expect(devices.count == 17)
        #expect(devices[0].manufacturer == String(repeating: "é", count: 30))
        #expect(devices[0].model == "a\u{FFFD}b")
        #expect(devices[0].region == nil && devices[0].esmeVariant == nil)
        let empty = Samples.response(
            .response(reference: "8.2", variant: "8.2", .inventory([])))
        let none = try DUISWriter.response(empty, signedBy: nil)
        #expect(
            try Parties.lenient.response(none).response.body
                == .response(reference: "8.2", variant: "8.2", nil))
    }
}
