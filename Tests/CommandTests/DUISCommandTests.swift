import Foundation
import TestSupport
import Testing

/// The published keys, templates and schema, if they are there.
private enum Published {
    static let folder = Reference.folder?.appending(path: "duis").path(percentEncoded: false)
    static var keys: String { (folder ?? "") + "/keys" }
    static var schema: String { (folder ?? "") + "/duis.xsd" }
}

@Suite("han duis")
struct DUISCommandTests {
    static let user = "90B3D51F30010000"

    @Test("a request without a signature is made, shown and told to have none")
    func unsigned() throws {
        let folder = try TemporaryFolder()
        let made = try RunHan.han([
            "duis", "request", "8.11", "--unsigned", "--user", Self.user, "--hub",
            "00DB1234567890A2", "--device", "00DB1234567890A0", "--install-code",
            "30313233343536373839414243444546", "--join-time", "90", "--counter", "1002",
        ])
        #expect(made.code == 0, "\(made.errors)")
        #expect(made.output.contains("90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A2:1002"))
        let path = try folder.write(Array(made.output.utf8), as: "request.xml")
        let shown = try RunHan.han(["duis", "show", path])
        #expect(shown.code == 0)
        #expect(shown.output.contains("put a device into the hub's log"))
        let json = try RunHan.han(["duis", "show", "--json", path])
        let object =
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        #expect(object?["kind"] as? String == "request")
        #expect(
            (object?["fields"] as? [[String: String]])?.contains {
                $0["name"] == "join time" && $0["value"] == "90"
            } == true)
        let verdict = try RunHan.han(["duis", "verify", path])
        #expect(verdict.code == 1)
        #expect(verdict.output.contains("not signed"))
        #expect(verdict.errors.contains("1 of 1 refused"))
    }

    @Test(
        "options that do not belong together are refused with 64",
        arguments: [
            ["8.2"], ["8.2", "--device", user, "--uprn", "1"], ["11.1", "--device", user],
            ["11.3", "--device", user], ["11.3", "--device", user, "--hash", "00"],
            ["8.4", "--device", user], ["8.4", "--device", user, "--delete", "--mpxn", "1"],
            ["8.11", "--device", user, "--hub", user, "--remove", "--join-time", "1"],
            ["11.2", "--device", user, "--at", "2030-01-15T09:00:00Z", "--cancel"],
            ["8.2", "--device", user, "--image", "x"], ["8.2", "--mpxn", "12345678901234"],
            ["8.2", "--mpxn", "1", "--unsigned"],
        ])
    func misfits(arguments: [String]) throws {
        let signing = arguments.contains("--unsigned") ? [] : ["--unsigned", "--user", Self.user]
        let run = try RunHan.han(["duis", "request"] + arguments + signing)
        #expect(run.code == 64, "\(run.output)")
        #expect(run.output == "")
    }

    @Test(
        "an option that does not belong to a request is named, and so is one that it needs",
        arguments: [
            (
                ["11.2", "--device", user, "--post-code", "x"],
                "--post-code does not belong to 11.2"
            ),
            (["11.2", "--device", user, "--delete"], "--delete does not belong to 11.2"),
            (["12.2", "--device", user, "--join-time", "9"], "12.2 needs --type"),
            (["8.11", "--hub", user], "8.11 needs --device"),
            (["8.2", "--device", user, "--device", user], "8.2 is about one --device"),
        ])
    func named(arguments: [String], words: String) throws {
        let run = try RunHan.han(
            ["duis", "request"] + arguments + ["--unsigned", "--user", Self.user])
        #expect(run.code == 64)
        #expect(run.errors.contains(words), "\(run.errors)")
    }

    @Test("without a key store nobody signs, and the message says what to give")
    func noKeys() throws {
        let run = try RunHan.han(["duis", "request", "8.2", "--mpxn", "1"])
        #expect(run.code == 78)
        #expect(run.errors == "han: nobody can sign: give --keystore with the user's key\n")
        let none = try RunHan.han([
            "duis", "request", "8.2", "--mpxn", "1", "--keystore", "/nowhere",
        ])
        #expect(none.code == 66)
    }

    @Test("what is no request is refused with 65, and what is not there with 66")
    func noRequest() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Array("<!DOCTYPE a><a/>".utf8), as: "a.xml")
        let shown = try RunHan.han(["duis", "show", path])
        #expect(shown.code == 65)
        #expect(shown.errors.contains("DOCTYPE"))
        #expect(try RunHan.han(["duis", "show", path + "x"]).code == 66)
    }

    @Test(
        "with the published keys a request of each kind is signed, verified and valid",
        .enabled(if: Published.folder != nil, Comment(rawValue: Reference.absent)))
    func published() throws {
        let folder = try TemporaryFolder()
        let device = ["--device", "00DB1234567890A0"]
        let hash = String(repeating: "ab", count: 32)
        let listed = try RunHan.han(["image", "list", "--json"])
        let images =
            try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
        let image = try #require(images?.first?["id"] as? String)
        var paths: [String] = []
        for (index, arguments) in [
            ["11.1", "--image", image, "--device", "00DB1234567890A1"] + device,
            ["11.4", "--image", image, "--version", "00000001"] + device,
            ["11.2", "--cancel"] + device, ["11.3", "--hash", hash] + device,
            ["11.3", "--image", image, "--at", "2030-01-15T09:00:00Z"] + device,
            ["8.2"] + device, ["8.2", "--post-code", "AB1 2CD", "--address", "1"],
            ["8.4", "--status", "Pending"] + device, ["8.4", "--model", "X"] + device,
            ["8.11", "--hub", "00DB1234567890A2", "--remove"] + device,
            ["12.2", "--type", "PPMID", "--manufacturer", "121D", "--model", "P"] + device,
        ].enumerated() {
            let run = try RunHan.han(
                ["duis", "request"] + arguments
                    + ["--keystore", Published.keys, "--user", Self.user])
            #expect(run.code == 0, "\(arguments): \(run.errors)")
            paths.append(try folder.write(Array(run.output.utf8), as: "\(index).xml"))
        }
        let template = Published.folder! + "/templates/8.2_READ_INVENTORY_REQUEST_DUIS.XML"
        let signed = try RunHan.han([
            "duis", "sign", template, "--keystore", Published.keys, "--user", Self.user,
            "--counter", "77",
        ])
        #expect(signed.output.contains(":77<"))
        paths.append(try folder.write(Array(signed.output.utf8), as: "signed.xml"))
        let verdict = try RunHan.han(
            ["duis", "verify", "--keystore", Published.keys, "--schema", Published.schema] + paths)
        #expect(verdict.code == 0, "\(verdict.output)")
        #expect(
            verdict.output == paths.map { "\($0): signed by \(Self.user)\n" }.joined())
        let several = try RunHan.han(["duis", "sign", template, "--keystore", Published.keys])
        #expect(several.code == 64)
        #expect(several.errors.contains("say --user"))
        let wrong = try RunHan.han(
            ["duis", "verify", template, paths[0], "--keystore", Published.keys])
        #expect(wrong.code == 1)
        #expect(wrong.output.contains("unknown certificate"))
    }
}
