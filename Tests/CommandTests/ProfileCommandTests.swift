import Foundation
import Testing

@Suite("han profile")
struct ProfileCommandTests {
    static let profiles = RunHan.root + "Profiles"
    static let environment = ["HAN_HOME": RunHan.root]

    private func han(_ arguments: String...) throws -> RunHan.Result {
        try RunHan.han(["profile"] + arguments, environment: Self.environment)
    }

    @Test("the list shows each file's kind, name and title")
    func list() throws {
        let result = try han("list")
        #expect(result.code == 0 && result.errors.isEmpty)
        let lines = result.output.split(separator: "\n")
        #expect(lines.first == "KIND      NAME                TITLE")
        #expect(lines.contains("hub       homehub-2           Communications Hub HomeHub 2"))
        #expect(lines.contains { $0.hasPrefix("scenario  demo ") })
    }

    @Test("the list as JSON holds kind, name, path and title")
    func json() throws {
        let result = try han("list", "--json")
        let list = try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
        let standard = try #require(list.first { $0["name"] as? String == "standard" })
        #expect(Set(standard.keys) == ["kind", "name", "path", "title"])
        #expect(standard["kind"] as? String == "home")
        #expect((standard["path"] as? String)?.hasSuffix("Profiles/homes/standard.yaml") == true)
    }

    @Test("a file that is fine gets one line and 0")
    func fine() throws {
        let file = Self.profiles + "/homes/standard.yaml"
        let result = try han("validate", file)
        #expect(result.code == 0)
        #expect(result.output == "\(file): a home with 4 devices, fine\n")
    }

    @Test("a name of the library stands for each of its files that has it")
    func names() throws {
        let result = try han("validate", "demo", "new-hub")
        #expect(result.code == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.hasSuffix(", fine") })
        #expect(lines.map { $0.contains("a home with") } == [false, true, false])
        let none = try han("validate", "nosuch")
        #expect(none.code == 66 && none.errors.contains("'nosuch' does not exist"))
    }

    @Test("a DCC's codes are those that a response can bear")
    func dccCodes() throws {
        let scratch = try TemporaryFolder()
        func validate(_ lines: String) throws -> (code: Int32, errors: String) {
            let text = "kind: dcc\ntitle: Codes\n\(lines)\n"
            let path = try scratch.write(Array(text.utf8), as: "codes.yaml")
            let result = try han("validate", path)
            return (result.code, result.errors)
        }
        #expect(try validate("codes: {malformed: E41}\nalertCodes: {delivered: N65}").code == 0)
        let response = try validate("codes: {malformed: E999}")
        #expect(response.code == 65)
        #expect(
            response.errors.contains("codes.malformed is 'E999', which is no code of the schema"))
        let alert = try validate("alertCodes: {delivered: N99}")
        #expect(alert.code == 65 && alert.errors.contains("alertCodes.delivered is 'N99'"))
    }

    @Test("a broken file gives 65 with file, line and field, a missing one 66, no file 64")
    func codes() throws {
        let scratch = try TemporaryFolder()
        let text = try String(contentsOfFile: Self.profiles + "/devices/esme.yaml", encoding: .utf8)
            .replacingOccurrences(of: "blockSize: 48", with: "blockSize: 480")
        let broken = try scratch.write(Array(text.utf8), as: "broken.yaml")
        let good = Self.profiles + "/devices/gsme.yaml"
        let result = try han("validate", "none.yaml", broken, good)
        #expect(result.code == 65)
        #expect(result.output == "\(good): a device profile, GSME, 1 range of firmware, fine\n")
        #expect(
            result.errors == """
                han: 'none.yaml' does not exist; check the name and the folder
                han: \(broken):10:14: ota.blockSize: expected a whole number from 1 to 56, \
                found '480'

                """)
        #expect(try han("validate", "none.yaml").code == 66)
        #expect(try han("validate").code == 64)
        #expect(try han("list", "--profiles", scratch.path + "/none").code == 66)
        let empty = try han("list", "--profiles", scratch.path)
        #expect(empty.code == 66 && empty.output.isEmpty)
        #expect(
            empty.errors.contains("none of the folders devices, hubs, homes, scenarios and dcc"))
    }
}
