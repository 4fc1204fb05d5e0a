import Lab
import Radio
import TestSupport
import Testing
import Wire

@Suite("Service requests in scenarios")
struct RequestStories {
    @Test(
        "the scenarios with a DCC come to what they say",
        arguments: ["dcc", "dcc-releases", "dcc-hub-refuses"])
    func files(name: String) throws {
        let result = try Demo.runner(name, folder: nil).run { 0 }
        #expect(result.failure == nil)
    }

    @Test("a step whose answer is another than it says has failed, and says which it was")
    func otherAnswer() throws {
        let runner = try Demo.runner("dcc", folder: nil) { scenario in
            for index in scenario.steps.indices {
                guard case .request(var step) = scenario.steps[index].action,
                    step.variant == .updatePPMIDFirmware
                else { continue }
                step.answer = "I99"
                step.lists = [:]
                scenario.steps[index].action = .request(step)
                break
            }
        }
        #expect(try runner.run { 0 }.failure?.contains("the DCC answers W110401, not I99") == true)
        let listed = try Demo.runner("dcc", folder: nil) { scenario in
            for index in scenario.steps.indices {
                guard case .request(var step) = scenario.steps[index].action,
                    step.variant == .updatePPMIDFirmware
                else { continue }
                step.lists = [.gbcsVersion: []]
                scenario.steps[index].action = .request(step)
                break
            }
        }
        #expect(
            try listed.run { 0 }.failure?.contains("the DCC lists as gbcsVersion: PPMID") == true)
    }
}
