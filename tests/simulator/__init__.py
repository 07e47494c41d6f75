"""A WhatsApp Web on loopback, faithful enough that the real wa-js runs on it, with phones to scan and write.

async with simulator.serve(Config()) as sim:
    chrome = launch(*sim.chrome_args, "https://web.whatsapp.com/")
    phone = sim.phone("+491701234567")
    await phone.scan(code)
    phone.receive("+4915110000001", "hello")
    await phone.wait_for(lambda p: p.submissions)
"""

from tests.simulator.errors import SimulatorError
from tests.simulator.phone import Phone
from tests.simulator.simulator import Config, Simulator, run, serve

__all__ = ["Config", "Phone", "Simulator", "SimulatorError", "run", "serve"]
